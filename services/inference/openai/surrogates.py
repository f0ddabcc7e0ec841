"""Characters that a server's JSON cuts in two.

In JSON, a character beyond U+FFFF may be two escapes, a pair of surrogates. A server that cuts text
by UTF-16's units sends the halves in two chunks. They are joined; a half alone becomes U+FFFD.
"""

import json
import re
from typing import Any, NoReturn

_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_CUT = frozenset({"content", "reasoning_content", "reasoning", "arguments"})
"""The texts that come in pieces; in all others, a half stays alone."""


class Joiner:
    """Joins the pieces of one text."""

    def __init__(self) -> None:
        self._held = ""

    def join(self, piece: str) -> str:
        """Take a piece, and give what is whole; a first half at its end waits for the second."""
        text, self._held = self._held + piece, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return _whole(text)

    def end(self) -> str:
        """Give what stands for a half that was waited for in vain."""
        return _whole(self._held)


def loads(data: bytes) -> Any:
    """Read JSON that a stricter decoder has refused, if half a character may be why.

    Raises:
        ValueError: it may not, or the JSON is none.
    """
    if not _ESCAPE.search(data):
        raise ValueError
    return json.loads(data.decode(), object_pairs_hook=_mended, parse_constant=_reject)


def _mended(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: _whole(value) if isinstance(value, str) and name not in _CUT else value
        for name, value in pairs
    }


def _reject(_constant: str) -> NoReturn:
    # NaN and Infinity, which Python reads, are no JSON.
    raise ValueError


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
