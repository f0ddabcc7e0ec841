r"""Placeholders such as `[EMAIL_1]`: how they look, and where a text has one.

Models damage them a little. These stand for `[EMAIL_1]` too: `[email_1]`, `[EMAIL 1]`,
`[Email-1]`, `[ EMAIL_1 ]`, and with Markdown's escapes `[EMAIL\_1]` and `\[EMAIL\_1\]`. Without
its brackets it is a word like any other.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_INNER = r"[A-Za-z0-9_ .\\-]{3,64}"
_BRACKETED = re.compile(rf"(\\{{1,2}})\[({_INNER})\1\]|\[({_INNER})\]")
_NAMED = re.compile(r" ?([A-Za-z][A-Za-z0-9]*(?:[_ -][A-Za-z0-9]+)*)[_ -]([0-9]+(?:\.[0-9]+)?) ?")
_BEGUN = re.compile(r"\\{0,2}\[[A-Za-z0-9_ .\\-]{0,66}\Z|\\{1,2}\Z")
_LONGEST = 72
"""The most characters that a placeholder takes, with all damage that is mended."""


class Placeholder(NamedTuple):
    """What looks like a placeholder in a text."""

    start: int
    end: int
    name: str
    """What stands between the brackets when it is not damaged: `EMAIL_1`."""


def placeholders(text: str) -> Iterator[Placeholder]:
    """Give all that looks like a placeholder, in order."""
    if "[" not in text:
        return
    for match in _BRACKETED.finditer(text):
        named = _NAMED.fullmatch((match[2] or match[3]).replace("\\", ""))
        if named:
            kind = named[1].upper().replace(" ", "_").replace("-", "_")
            yield Placeholder(match.start(), match.end(), f"{kind}_{named[2]}")


def begins_at(tail: str) -> int:
    """Return where the end of a text may be the beginning of a placeholder; its length if not."""
    start = max(0, len(tail) - _LONGEST)
    match = _BEGUN.search(tail, start)
    return match.start() if match else len(tail)
