"""Names of people, places and companies, told by a linear tagger and the words around."""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import punctuation
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.safety.pii.words import Known, Word, features, pieces, placed

Floats = NDArray[np.float32]

_REACH = 2
"""How far a word's influence goes, in words; as in training."""
_OUTSIDE = 0
_LEAD = 100.0
"""The lead over `nothing`, in units of the weights, from which a name is taken for certain."""
_SURE = 30.0
"""The lead of `nothing`, in the same units, from which no neighbour can make a name of a word."""
_AROUND = 4
"""How many words at either side of a telling one are looked at."""
_WINDOW = 4096
"""The most words that are looked at together."""
# Signs, small numbers, and the words that sentences begin with: they tell nothing of names.
_SIGNS = (" ", "  ", "\n", *punctuation, "\u2013", "\u2019")
_WORDS = """
a about after all although always an and another any are as at be because been before both
but by can could did do does don each even every everyone few finally first for from had has
have having he hello her here his how however i if in instead into is isn it its just last
later let like many may maybe me more most my never next no nobody not nothing now of often
on once one only or our out over perhaps please people s she should since so some something
soon still such t thank thanks that the their them then there these they this those though
through to today together too two under unless until up us use very was we well were what
whatever when where whether which while who whom whose why with within without would write
yes yesterday yet you your
"""
_KEPT = 20_000
"""The most plain words whose part is kept."""
_FIGURES = "000000"
"""Stands for a number that is not known: only how long it is tells anything."""
_PLAIN = frozenset((*_SIGNS, *map(str, range(100)), *_WORDS.split()))


class Span(NamedTuple):
    """Characters that the tagger has a name for."""

    start: int
    end: int
    label: str
    certainty: float
    """How sure the tagger is, from 0 to 1."""


class Tagger:
    """The weights that training/safety/pii/train.py makes; used by several threads at once."""

    def __init__(self, weights: Path, lexicon: Path) -> None:
        with np.load(weights) as stored:
            self._weights = stored["weights"].astype(np.float32) * stored["step"]
            self._moves = stored["moves"].astype(np.float32)
            self._labels: list[str] = stored["labels"].tolist()
            self._known = frozenset(stored["known"].tobytes().decode().split("\n"))
        self._lexicon: dict[str, int] = {}
        self._plain = {*_PLAIN, *(word.capitalize() for word in _PLAIN if word.isalpha())}
        with gzip.open(lexicon, "rt", encoding="utf-8") as lines:
            for bits, *alike in map(str.split, lines):
                self._lexicon |= dict.fromkeys(alike, int(bits))
                if _is_plain(int(bits)):
                    self._plain.update(alike)
        self._said: dict[str, Floats] = {}

    def is_plain(self, text: str) -> bool:
        """Return whether none of the words can be a name."""
        return self._plain.issuperset(pieces(text))

    def tag(self, text: str) -> Iterator[Span]:
        """Yield what the text's words are taken for, in order."""
        tokens = placed(pieces(text))
        telling = [i for i, token in enumerate(tokens) if token.text not in self._plain]
        for begin, end in _runs(telling, len(tokens), around=_AROUND):
            for first in range(begin, end, _WINDOW):
                yield from self._window(tokens[first : min(end, first + _WINDOW)])

    def _window(self, tokens: Sequence[Word]) -> Iterator[Span]:
        emission = self._emission(tokens)
        doubtful = np.flatnonzero(emission[:, 1:].max(1) > emission[:, _OUTSIDE] - _SURE)
        for begin, end in _runs(doubtful.tolist(), len(tokens), around=1):
            part = emission[begin:end]
            yield from self._spans(tokens[begin:end], part, self._path(part))

    def _emission(self, tokens: Sequence[Word]) -> Floats:
        """Return each word's scores by label: its own, and its neighbours' share."""
        each = np.stack([self._of(token.text) for token in tokens])
        total = each[:, _REACH].copy()
        for offset in range(1, _REACH + 1):
            total[:-offset] += each[offset:, _REACH + offset]
            total[offset:] += each[:-offset, _REACH - offset]
        return total

    def _of(self, word: str) -> Floats:
        """Return what a word says. What common words say is kept; a name leaves no trace."""
        if word.isdecimal() and word not in self._known:
            word = _FIGURES[: len(word)]
        said = self._said.get(word)
        if said is None:
            said = self._weights[features(word, self._lexicon, self._known)].sum(0)
            if len(self._said) < _KEPT and (word in _FIGURES or word.lower() in self._plain):
                self._said[word] = said
        return said

    def _path(self, emission: Floats) -> list[int]:
        """Return the best path of labels (Viterbi, 1967); outside stands before it."""
        score = emission[0] + np.minimum(self._moves[_OUTSIDE], 0)
        back = []
        for row in emission[1:]:
            ways = score[:, None] + self._moves
            back.append(ways.argmax(0))
            score = ways.max(0) + row
        path = [int(score.argmax())]
        for step in reversed(back):
            path.append(int(step[path[-1]]))
        return path[::-1]

    def _spans(self, tokens: Sequence[Word], emission: Floats, path: list[int]) -> Iterator[Span]:
        index = 0
        while index < len(path):
            first = index
            index += 1
            if path[first] == _OUTSIDE:
                continue
            while index < len(path) and self._labels[path[index]].startswith("I-"):
                index += 1
            lead = np.mean(
                [emission[i, path[i]] - emission[i, _OUTSIDE] for i in range(first, index)]
            )
            yield Span(
                tokens[first].start,
                tokens[index - 1].end,
                self._labels[path[first]].partition("-")[2],
                float(min(1.0, max(0.0, lead / _LEAD))),
            )


def _runs(telling: Sequence[int], count: int, *, around: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of words around those that tell something."""
    begin, end = 0, 0
    for index in telling:
        if index - around > end:
            if end:
                yield begin, end
            begin = index - around
        end = min(count, index + around + 1)
    if end:
        yield begin, end


def _is_plain(bits: int) -> bool:
    """Return whether a word in lower case tells nothing of names by itself."""
    return bool(bits & Known.COMMON) and not bits & (Known.COUNTRY | Known.NATIONALITY)
