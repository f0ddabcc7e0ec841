"""A text that is read while it comes in, and the parts that it is found to be made of."""

from collections.abc import Callable, Generator
from enum import Enum, auto
from typing import NamedTuple, TypeVar

_MAX_HELD_CHARS = 16 * 1024
"""How much may be held back until it is clear what it is."""

T = TypeVar("T")


class Kind(Enum):
    """What a part is."""

    TEXT = auto()
    """Something said."""
    REASONING = auto()
    """Something thought."""
    CALL = auto()
    """The beginning of a tool's call; what is shown of it is the tool's name."""
    ARGUMENTS = auto()
    """What follows of a call."""


class Part(NamedTuple):
    """A stretch of the text. The raw texts of all parts, put together, are the text."""

    kind: Kind
    raw: str
    """What the model wrote."""
    shown: str
    """What of it callers get: nothing of markers."""


Reading = Generator[Part | None, None, T]
"""Reads a text, and yields its parts; None asks for more of the text."""


class UnexpectedError(Exception):
    """The text is not what it would have to be here."""


class Source:
    """What has come in and not been told, and how far it has been read."""

    def __init__(self) -> None:
        self.text = ""
        self.at = 0
        """What stands before it has been read."""
        self.is_whole = False
        """No more comes in."""

    def more(self) -> Reading[bool]:
        """Wait until there is something to read; tell whether there is.

        Raises:
            UnexpectedError: so much has been read and not told that nothing will come of it.
        """
        while self.at == len(self.text):
            if self.is_whole:
                return False
            if self.at > _MAX_HELD_CHARS:
                raise UnexpectedError
            yield None
        return True

    def peek(self) -> Reading[str]:
        """Return the next character without reading it; an empty text at the end."""
        return self.text[self.at] if (yield from self.more()) else ""

    def take(self, kind: Kind, shown: str | None = None) -> Reading[None]:
        """Tell what has been read, as one part."""
        raw, self.text, self.at = self.text[: self.at], self.text[self.at :], 0
        if raw or shown:
            yield Part(kind, raw, raw if shown is None else shown)

    def give_up(self) -> None:
        """Read again what has not been told."""
        self.at = 0

    def space(self) -> Reading[None]:
        """Read white space."""
        while (yield from self.peek()).isspace():
            self.at += 1

    def space_of(self, kind: Kind) -> Reading[None]:
        """Read white space that belongs to a marker, and tell it with the marker."""
        while (yield from self.more()):
            rest = self.text[self.at :].lstrip()
            self.at = len(self.text) - len(rest)
            yield from self.take(kind, "")
            if rest:
                return

    def marker(self, marker: str) -> Reading[bool]:
        """Read a marker if it is what stands here; tell whether it is."""
        start = self.at
        for character in marker:
            if (yield from self.peek()) != character:
                self.at = start
                return False
            self.at += 1
        return True

    def expect(self, marker: str) -> Reading[None]:
        """Read what must stand here.

        Raises:
            UnexpectedError: something else does.
        """
        if not (yield from self.marker(marker)):
            raise UnexpectedError

    def until(self, marker: str, kind: Kind) -> Reading[bool]:
        """Tell all up to a marker, and read the marker; tell whether there is one."""
        while True:
            found = self.text.find(marker, self.at)
            self.at = found if found >= 0 else len(self.text) - self._beginning_of(marker)
            yield from self.take(kind)
            if found >= 0:
                self.at += len(marker)
                return True
            if self.is_whole:
                return False
            yield None

    def rest(self, kind: Kind) -> Reading[None]:
        """Tell all that follows."""
        while (yield from self.more()):
            self.at = len(self.text)
            yield from self.take(kind)

    def _beginning_of(self, marker: str) -> int:
        """Return how much at the end of the text may be the beginning of a marker."""
        if self.is_whole:
            return 0
        longest = min(len(marker) - 1, len(self.text) - self.at)
        lengths = range(longest, 0, -1)
        return next((length for length in lengths if self.text.endswith(marker[:length])), 0)


def attempt(source: Source, reading: Reading[None]) -> Reading[bool]:
    """Read what may be here; if it is not, tell it as text. Tell whether it was."""
    try:
        yield from reading
    except UnexpectedError:
        yield from source.take(Kind.TEXT)
        return False
    return True


class Parser:
    """Runs a reading over a text that comes in pieces.

    However the text is cut, the parts are the same, but for where those of one kind are cut. (A
    piece that alone is longer than what may be held back can be more than its parts would be.)
    """

    def __init__(self, read: Callable[[Source], Reading[None]]) -> None:
        self._source = Source()
        self._parts = read(self._source)

    def push(self, text: str) -> list[Part]:
        """Take text in, and return the parts that have become clear."""
        self._source.text += text
        return self._read()

    def finish(self) -> list[Part]:
        """Return what was held back; no more text comes."""
        self._source.is_whole = True
        return self._read()

    def _read(self) -> list[Part]:
        parts = []
        # Not to be closed: it goes on from here with the next piece.
        while (part := next(self._parts, None)) is not None:
            parts.append(part)
        return parts
