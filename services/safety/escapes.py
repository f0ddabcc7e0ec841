"""JSON's escapes undone, so that what they hide is seen, and found again in the text as written."""

import json
import re
from bisect import bisect_right

_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(_PAIR + r'|\\u[0-9a-fA-F]{4}|\\["\\/bfnrt]')
# Behind half a character its other half may come.
_HALF = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
_BEGUN = re.compile(
    rf"{_PAIR}|(?P<begun>(?:{_HALF})?(?:\\(?:u[0-9a-fA-F]{{0,3}})?)?\Z)|\\u[0-9a-fA-F]{{4}}|\\."
)
_LONGEST = 12
"""Characters of an escape."""
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")


class Unescaped:
    """A text in JSON with its escapes undone, whether or not it is JSON as a whole."""

    def __init__(self, raw: str) -> None:
        self.text = raw
        """The text without escapes."""
        self._ends = [0]
        self._raw_ends = [0]
        if "\\" in raw:
            self.text = self._read(raw)

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Return where characters of `text` stand in the text as written."""
        return self._raw(start), self._raw(end)

    def _read(self, raw: str) -> str:
        parts: list[str] = []
        read = length = 0
        for match in _ESCAPE.finditer(raw):
            meant = _LONE_SURROGATES.sub("\ufffd", json.loads(f'"{match[0]}"'))
            parts += (raw[read : match.start()], meant)
            length += match.start() - read + len(meant)
            read = match.end()
            self._ends.append(length)
            self._raw_ends.append(read)
        parts.append(raw[read:])
        return "".join(parts)

    def _raw(self, position: int) -> int:
        # An escape is one character: no position of the text stands inside of one.
        last = bisect_right(self._ends, position) - 1
        return self._raw_ends[last] + position - self._ends[last]


def begins_at(text: str) -> int:
    """Return where an escape begins that the end of a text may cut off, or its length."""
    if "\\" not in text[-_LONGEST:]:
        return len(text)
    return next(found.start() for found in _BEGUN.finditer(text) if found["begun"] is not None)


def escaped(text: str) -> str:
    """Return a text as it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
