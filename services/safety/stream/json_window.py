"""Lets a text in JSON through as it comes: judged as it is meant, and written as it was."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.safety.escapes import Unescaped, begins_at
from services.safety.pseudonyms import Pseudonyms
from services.safety.stream.rules import Judged, Rules
from services.safety.stream.window import Part, Window


class _Chunk(NamedTuple):
    """A piece of the text that ends in no escape."""

    start: int
    """In the text as it is meant."""
    raw_start: int
    raw: str
    meant: Unescaped

    @property
    def end(self) -> int:
        return self.start + len(self.meant.text)


class JsonWindow:
    """A window on what the text means; all positions that it tells are those of the text."""

    def __init__(
        self,
        rules: Rules,
        pseudonyms: Pseudonyms,
        on_finding: Callable[[Judged], None],
        before: str = "",
    ) -> None:
        self._window = Window(rules, pseudonyms, on_finding, Unescaped(before).text, in_json=True)
        self._cut_off = ""
        """The beginning of an escape."""
        self._chunks: deque[_Chunk] = deque()
        """What has not left."""
        self.end = 0
        """How many characters came."""
        self.left = 0
        """How many characters were dealt with: they left, or something stands for them."""

    @property
    def blocked(self) -> Judged | None:
        """What has ended the text; nothing leaves any more."""
        return self._window.blocked

    def push(self, piece: str) -> list[Part]:
        """Take the next piece; return what may leave now."""
        self.end += len(piece)
        raw = self._cut_off + piece
        whole = begins_at(raw)
        self._cut_off = raw[whole:]
        return self._written(self._window.push(self._read(raw[:whole])))

    def finish(self) -> list[Part]:
        """Return what may leave now that the text has ended."""
        rest, self._cut_off = self._cut_off, ""
        return self._written([*self._window.push(self._read(rest)), *self._window.finish()])

    def _read(self, raw: str) -> str:
        if not raw:
            return ""
        raw_start = self.end - len(self._cut_off) - len(raw)
        self._chunks.append(_Chunk(self._window.end, raw_start, raw, Unescaped(raw)))
        return self._chunks[-1].meant.text

    def _written(self, parts: Sequence[Part]) -> list[Part]:
        """Return parts as they are written; they follow one another."""
        return [self._part(part) for part in parts]

    def _part(self, part: Part) -> Part:
        start, written, is_whole = self.left, "", False
        while not is_whole:
            chunk = self._chunks[0]
            is_whole = part.end <= chunk.end
            first, last = chunk.meant.raw_span(
                max(part.start - chunk.start, 0), min(part.end, chunk.end) - chunk.start
            )
            written += chunk.raw[first:last]
            self.left = chunk.raw_start + last
            if part.end >= chunk.end:
                self._chunks.popleft()
        return Part(start, self.left, part.text if part.changed else written, part.changed)
