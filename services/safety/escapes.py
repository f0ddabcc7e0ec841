"""JSON's escapes undone, so that what they hide is seen, and found again in the text as written."""

import json
import re
from bisect import bisect_right

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r'|\\u[0-9a-fA-F]{4}|\\["\\/bfnrt]'
)
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


def escaped(text: str) -> str:
    """Return a text as it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
