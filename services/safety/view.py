"""One form of a text, which knows the characters of the raw text that it was made of."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple, Self


class Part(NamedTuple):
    """What the characters from `start` to `end` of a text become in a form of it."""

    start: int
    end: int
    text: str


class _Place(NamedTuple):
    """Where a part stands in the form."""

    at: int
    size: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One form of a text."""

    text: str
    how: str
    """What was done to the raw text, for example `base64`; empty for the raw text itself. Where
    several things were done they are told in their order, for example `base64+rot13`."""
    start: int
    end: int
    """The characters of the raw text that it was made of."""
    _parent: Self | None = None
    _places: Sequence[_Place] = ()

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the raw text that those from `start` to `end` stand for."""
        if self._parent is None:
            return start, end
        last = max(start, end - 1)
        first, until = self._origin(start)[0], self._origin(last)[1]
        until = min(max(first, until), len(self._parent.text))
        return self._parent.span(min(first, until), until)

    def rewritten(self, how: str, parts: Iterable[Part]) -> "View":
        """Return the form in which the parts, in their order, stand for what they were made of."""
        pieces: list[str] = []
        places: list[_Place] = []
        at = copied = 0
        for part in parts:
            pieces += self.text[copied : part.start], part.text
            at += part.start - copied
            places.append(_Place(at, len(part.text), part.start, part.end))
            at += len(part.text)
            copied = part.end
        pieces.append(self.text[copied:])
        return View("".join(pieces), self._then(how), self.start, self.end, self, places)

    def extracted(self, how: str, parts: Sequence[Part]) -> "View":
        """Return the form that holds nothing but the parts, a line each."""
        places: list[_Place] = []
        at = 0
        for part in parts:
            places.append(_Place(at, len(part.text), part.start, part.end))
            at += len(part.text) + 1
        start, end = self.span(parts[0].start, parts[-1].end)
        text = "\n".join(part.text for part in parts)
        return View(text, self._then(how), start, end, self, places)

    def _then(self, how: str) -> str:
        return f"{self.how}+{how}" if self.how else how

    def _origin(self, position: int) -> tuple[int, int]:
        """Return the characters of the parent that one character stands for."""
        index = bisect_right(self._places, position, key=attrgetter("at")) - 1
        if index < 0:
            return position, position + 1
        place = self._places[index]
        behind = position - (place.at + place.size)
        if behind < 0:
            return place.start, place.end
        return place.end + behind, place.end + behind + 1
