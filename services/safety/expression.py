"""How long a match of a regular expression in RE2's syntax may be.

RE2 itself does not tell. The expression is one that RE2 has compiled, so that nothing but its
length is looked at here.
"""

import re

UNBOUNDED = 1 << 32
"""Longer than any match of a bounded expression."""

_REPEAT = re.compile(r"([*+?]|\{(?P<least>\d+)(?P<range>,(?P<most>\d*))?\})\??")
_FLAGS = re.compile(r"\(\?[imsU-]+\)")
_GROUP = re.compile(r"\((?:\?(?:P?<\w+>|[imsU-]*:))?")
_EMPTY = re.compile(r"\\[AbBz]|[\^$]")
_QUOTE = re.compile(r"(?s)\\Q(.+?)(?:\\E|\Z)")
_CLASS = re.compile(r"(?s)\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]")
_CHARACTER = re.compile(
    r"(?s)\\x\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\[pP]\{[^}]*\}|\\[pP].|\\[0-7]{1,3}|\\.|."
)


def width(expression: str) -> int:
    """Return the most characters that a match takes; `UNBOUNDED` or more if there is no most."""
    return _Reader(expression).alternatives()


class _Reader:
    """Reads an expression from its beginning to its end."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._at = 0

    def alternatives(self) -> int:
        """Read what is separated by bars, up to a group's or the expression's end."""
        widest = self._sequence()
        while self._next() == "|":
            self._at += 1
            widest = max(widest, self._sequence())
        return widest

    def _sequence(self) -> int:
        total = 0
        while self._next() not in {"", "|", ")"}:
            if quote := self._read(_QUOTE):
                # What repeats is the last character alone.
                total += len(quote[1]) - 1
                atom = 1
            else:
                atom = self._atom()
            # Counted no further, so that no expression makes for endless arithmetic.
            total = min(UNBOUNDED, total + min(UNBOUNDED, atom * self._repeats()))
        return total

    def _atom(self) -> int:
        """Return what one atom takes at most, unrepeated."""
        if self._read(_FLAGS) or self._read(_EMPTY):
            return 0
        if self._read(_GROUP):
            inner = self.alternatives()
            self._at += 1
            return inner
        self._read(_CLASS) or self._read(_CHARACTER)
        return 1

    def _repeats(self) -> int:
        most = 1
        while repeat := self._read(_REPEAT):
            if repeat["least"] is None:
                most *= 1 if repeat[1] == "?" else UNBOUNDED
            else:
                bound = repeat["most"] if repeat["range"] else repeat["least"]
                most *= int(bound) if bound else UNBOUNDED
        return most

    def _next(self) -> str:
        return self._expression[self._at : self._at + 1]

    def _read(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._expression, self._at)
        if found:
            self._at = found.end()
        return found
