"""The detector of personal data: tables of numbers and addresses, and a tagger of names."""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from catenary.config.v1 import safety_pb2
from services.safety.detector import Detector, Finding, Text
from services.safety.pii import (
    americas,
    asia_pacific,
    contact,
    dates,
    europe,
    finance,
    labelled,
    phones,
)
from services.safety.pii.candidates import Candidate, Recogniser
from services.safety.pii.categories import CATEGORIES, check_kinds
from services.safety.pii.context import Context
from services.safety.pii.digit_runs import cards, ibans
from services.safety.pii.plain import plain
from services.safety.pii.tagger import Span, Tagger

_MODELS = Path(__file__).parents[3] / "models/safety"
_BEFORE = 64
"""How many characters before a text it is understood by."""
KINDS = (
    *contact.KINDS,
    *phones.KINDS,
    *dates.KINDS,
    *finance.KINDS,
    *labelled.KINDS,
    *europe.KINDS,
    *americas.KINDS,
    *asia_pacific.KINDS,
)
_TAGGED = {
    "PERSON": "person",
    "ADDRESS": "address",
    "LOCATION": "location",
    "ORGANIZATION": "organization",
    "TITLE": "title",
    "NATIONALITY": "nationality",
    "ZIP": "zip_code",
}
# An address holds numbers that look like something else; a name yields to what has its own form.
_LEAST = {"address": 0.8}
_LEAST_OF_ALL, _SPREAD = 0.5, 0.2
# A word by itself, and not a piece of a code.
_WORD = re.compile(r"(?:^|[^\w-])[^\W\d_]{3,}(?:$|[^\w-])")
_BESIDE = 8
_SAID = 4


class Pii:
    """Finds personal data; what it finds does not overlap."""

    name = "pii"
    threshold = 0.5
    reach = 512

    def __init__(self, kinds: Collection[str] = ()) -> None:
        """Take the categories that count; none stands for all.

        Raises:
            ValueError: There is no such category.
        """
        check_kinds(kinds)
        wanted = frozenset(kinds or CATEGORIES)
        self._wanted = wanted
        self._recogniser = Recogniser([kind for kind in KINDS if kind.category in wanted])
        self._tagger = _tagger() if wanted.intersection(_TAGGED.values()) else None

    def find(self, text: Text) -> Sequence[Finding]:
        """Return what is found, in order."""
        found = [
            one
            for one in (*self._numbers(text), *self._names(text))
            if one.category in self._wanted and one.score >= self.threshold
        ]
        return [
            Finding(one.start, one.end, self.name, one.category, one.score) for one in _apart(found)
        ]

    def _numbers(self, text: Text) -> Iterator[Candidate]:
        context = Context(plain(text.raw), plain(text.before[-_BEFORE:]))
        yield from self._recogniser.find(context)
        yield from cards(context)
        yield from ibans(context)
        yield from contact.addresses(context)

    def _names(self, text: Text) -> Iterator[Candidate]:
        if self._tagger is None or self._tagger.is_plain(text.raw):
            return
        before = text.before[-_BEFORE:]
        whole = before + text.raw
        for span in _likely(whole, list(self._tagger.tag(whole))):
            start, end = max(0, span.start - len(before)), span.end - len(before)
            if end > start:
                category = _TAGGED[span.label]
                least = _LEAST.get(category, _LEAST_OF_ALL)
                score = least + _SPREAD * span.certainty
                yield Candidate(start, min(end, start + self.reach), category, score)


def pii(config: safety_pb2.PiiDetector) -> Detector:
    """Return the detector of personal data.

    Raises:
        ValueError: There is no such kind.
    """
    check_kinds(config.ignore)
    return Pii([kind for kind in config.kinds or CATEGORIES if kind not in config.ignore])


def _likely(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans, but no name with figures, and no number or sentence that is an address."""
    for index, span in enumerate(spans):
        said = text[span.start : span.end]
        if span.label == "PERSON" and any(map(str.isdigit, said)):
            continue
        is_likely = _WORD.search(said) is not None
        if span.label == "ADDRESS" and not any(map(str.isdigit, said)):
            is_likely &= not any(map(_is_said, said.split()))
        if span.label not in {"ADDRESS", "ZIP"} or is_likely or _beside(spans, index):
            yield span


def _is_said(word: str) -> bool:
    """Tell a word of a sentence from one of a name: `de`, `van der` and the like are short."""
    return word.islower() and len(word) >= _SAID


def _beside(spans: Sequence[Span], index: int) -> bool:
    span = spans[index]
    return any(
        other is not span and other.start - _BESIDE < span.end and span.start < other.end + _BESIDE
        for other in spans[max(0, index - 1) : index + 2]
    )


@cache
def _tagger() -> Tagger:
    return Tagger(_MODELS / "pii.npz", _MODELS / "pii_words.gz")


def _apart(found: Iterable[Candidate]) -> list[Candidate]:
    """Return the surest of those that overlap, then the longest, by where they stand.

    Where a number with check digits loses, the winner is widened over it: no figure of it stays.
    """
    kept: list[Candidate] = []
    for one in sorted(found, key=lambda one: (-one.score, one.start - one.end, one.start)):
        first = bisect_left(kept, one.start, key=lambda other: other.start)
        first -= bool(first and kept[first - 1].end > one.start)
        if first == len(kept) or kept[first].start >= one.end:
            kept.insert(first, one)
        elif one.checked:
            after = kept[first + 1].start if first + 1 < len(kept) else one.end
            kept[first] = kept[first]._replace(
                start=min(kept[first].start, one.start),
                end=max(kept[first].end, min(one.end, after)),
            )
    return kept
