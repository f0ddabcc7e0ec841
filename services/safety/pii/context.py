"""What stands around a candidate."""

from typing import Any

_BEFORE = 64
_AFTER = 24
_EDGES = b" \t\r\n.,;:!?\"'()\x02"


class Context:
    """A text's bytes, with those right before it."""

    def __init__(self, plain: bytes, before: bytes = b"") -> None:
        self.plain = plain
        self._all = before + plain
        self._shift = len(before)
        self._trimmed = plain.strip(_EDGES) if not before.strip() and len(plain) < _BEFORE else b""

    def holds(self, words: Any, start: int, end: int) -> bool:
        """Return whether an expression of words matches near the characters from start to end."""
        start, end = start + self._shift, end + self._shift
        near = self._all[max(0, start - _BEFORE) : start]
        return bool(words.search(near) or words.search(self._all[end : end + _AFTER]))

    def is_only(self, start: int, end: int) -> bool:
        """Return whether the whole text is these characters."""
        return bool(self._trimmed) and self.plain[start:end].strip(_EDGES) == self._trimmed
