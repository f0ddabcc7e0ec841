"""Numbers, codes and addresses, found by the tables of kinds in one pass, each match checked."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import re2

from services.safety.pii.context import Context
from services.safety.pii.kind import Kind

_SURER = 0.4
"""What a word of the context adds to the score."""
_JOINED_BEFORE, _JOINED_AFTER = re2.compile(rb"\d[.\-/]$"), re2.compile(rb"[.\-]\d")
# A word's edge; or a little word that runs into its number, as people type.
_BEFORE = r"(?:\b|_|\b(?:is|no|nr|id))"
_MOST_MEMORY = 64 << 20
"""Of the automaton that tells which kinds may stand in a text, bytes."""


class Candidate(NamedTuple):
    """Characters that may be personal data."""

    start: int
    end: int
    category: str
    score: float
    checked: bool = False
    """Whether its check digits are right."""


class _Compiled(NamedTuple):
    kind: Kind
    expression: Any
    words: Any


class Recogniser:
    """Finds what the tables describe, in time linear in the text's length."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        options = re2.Options()
        options.max_mem = _MOST_MEMORY
        options.encoding = re2.Options.Encoding.LATIN1
        self._any = re2.Set.SearchSet(options)
        self._kinds = []
        for kind in kinds:
            pattern = kind.pattern if kind.edged else rf"{_BEFORE}({kind.pattern})(?:\b|_)"
            if not kind.case:
                pattern = "(?i)" + pattern
            self._any.Add(pattern)
            words = (
                re2.compile(rf"(?i)(?:\b|_)(?:{kind.context})".encode()) if kind.context else None
            )
            self._kinds.append(_Compiled(kind, re2.compile(pattern.encode()), words))
        self._any.Compile()

    def find(self, context: Context) -> Iterator[Candidate]:
        """Yield what stands in the text, by kind; they may overlap."""
        for index in self._any.Match(context.plain) or ():
            kind, expression, words = self._kinds[index]
            for start, end in _spans(expression, context.plain):
                if not _is_whole(context.plain, start, end):
                    continue
                if kind.check is not None and not kind.check(
                    _value(context.plain[start:end], kind)
                ):
                    continue
                score = kind.score
                if words is not None and (
                    context.is_only(start, end) or context.holds(words, start, end)
                ):
                    score = min(1.0, score + _SURER)
                yield Candidate(start, end, kind.category, score, kind.check is not None)


def _spans(expression: Any, plain: bytes) -> Iterable[tuple[int, int]]:
    return (match.span(1) for match in expression.finditer(plain))


def _value(matched: bytes, kind: Kind) -> str:
    if kind.edged:
        return matched.decode()
    value = "".join(character for character in matched.decode() if character.isalnum())
    return value if kind.case else value.upper()


def _is_whole(plain: bytes, start: int, end: int) -> bool:
    """Return whether a number is no part of a longer one: of a decimal, or of a version."""
    if plain[start : start + 1].isdigit() and _JOINED_BEFORE.search(
        plain[max(0, start - 2) : start]
    ):
        return False
    return not (plain[end - 1 : end].isdigit() and _JOINED_AFTER.match(plain[end : end + 2]))
