"""Placeholders that stand for values on the way up, and turn back into them for the caller."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from services.safety.addresses import LONGEST, Place, address, followed
from services.safety.escapes import escaped
from services.safety.restore import Placeholder, begins_at, placeholders

_SETUP = "setup_"
"""What the categories of values begin with that belong to no turn."""
_TEXT = "text"
"""The category of what only looks like one of our placeholders."""

_KIND_CHARS = 40
_WORD = re.compile(r"\w+")
_BLANKS = re.compile(r"\s+")
_SHORTEST = 3
"""Shorter values are hidden where they were found, and nowhere else: `Al` is also a word."""

_MOST_SHAPES = 32
"""How many places and lengths of values with the same first word are looked for."""


_DATE_DIGITS = 8
"""With more digits a value is a number, whose blanks, dots and hyphens only group it."""


class Span(NamedTuple):
    """Characters of a text that are to be hidden, and what they are."""

    start: int
    end: int
    category: str


class Pseudonyms:
    """The placeholders of one call. Its values are in no other place, and in no text about it.

    Numbers go by first appearance, so that the same history has the same ones in the next turn;
    values that stand in no turn have numbers of their own, `[SETUP_EMAIL_1]`, for those of tools
    come and go.
    Values that differ only in case or grouping share a number, and each spelling turns back into
    itself: `[EMAIL_1]`, then `[EMAIL_1.2]`. What the caller, a document or the model writes can
    never be mistaken for a placeholder of somebody's value: a name that was seen in a text is not
    given away, and a name that was given away is itself hidden where a text has it.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """The names of placeholders, by value."""
        self._values: dict[str, str] = {}
        """The values, by name."""
        self._first_names: dict[str, str] = {}
        """The name of the first spelling, by canonical form."""
        self._counts: Counter[str] = Counter()
        """The numbers given, by what stands before them."""
        self._foreign: set[str] = set()
        """Names that texts hold by themselves."""
        self._addresses: set[int] = set()
        """The caller's own addresses that hold values: hashes of a name and what is before it."""
        self._shapes: defaultdict[str, dict[tuple[int, int], None]] = defaultdict(dict)
        """Where values with a first word begin before it, and how long they are."""

    def __bool__(self) -> bool:
        return bool(self._names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._names)})"

    def learn(self, text: str, spans: Iterable[Span], *, is_setup: bool = False) -> None:
        """Give a name to each value in a text, which may belong to no turn.

        Learn all texts of a request before one is hidden, in an order that a longer history keeps:
        what only one of them shows to be a value is then hidden in all.
        """
        known = _disjoint(spans)
        if is_setup:
            known = [span._replace(category=_SETUP + span.category) for span in known]
        self._learn(text, known)

    def hide(self, text: str, spans: Iterable[Span], *, is_callers: bool = True) -> str:
        """Return a text with placeholders for the spans, and for the values learnt in it.

        Args:
            text: to be hidden in.
            spans: what was found.
            is_callers: the caller wrote it: addresses in it may come back whole.
        """
        hidden = _spliced(text, self._hidden(text, spans))
        if is_callers and hidden != text:
            self._addresses.update(own for *_, own in self._placed(hidden, Place()) if own)
        return hidden

    def restore(self, text: str, *, json: bool = False) -> str:
        """Return a text with the values of its placeholders, those of others as they are.

        In JSON the values are written as a JSON string's.
        """
        return _spliced(text, self.restored(text, json=json))

    def restored(
        self, text: str, *, json: bool = False, place: Place | None = None
    ) -> list[tuple[int, int, str]]:
        """Return where a text has placeholders of this call, in order, each with its value.

        One in an address stays as it is, lest the address carry the value out: only in the
        caller's own does it turn back, where the value stood in it.

        Args:
            text: that the model wrote.
            json: values are to be written as in a JSON string.
            place: where the text goes on from what stands before it.
        """
        return [
            (start, end, escaped(self._values[name]) if json else self._values[name])
            for start, end, name, is_in_address, own in self._placed(text, place or Place())
            if not is_in_address or own in self._addresses
        ]

    def _placed(self, text: str, place: Place) -> Iterator[tuple[int, int, str, bool, int]]:
        """Give this call's placeholders, and whether each stands in an address, and in which."""
        if not self._values:
            return
        read = 0
        for start, end, name in placeholders(text):
            if name in self._values:
                place, read = followed(place, text[read:start]), start
                before = address(place)
                # Of a longer one no more is known.
                own = hash((name, before)) if before and len(before) < LONGEST else 0
                yield start, end, name, bool(before), own

    def begins_at(self, tail: str) -> int:
        """Return where a placeholder may begin that the end of a text cuts off, or its length."""
        return begins_at(tail) if self._values else len(tail)

    def wipe(self) -> None:
        """Forget every value: the call has ended."""
        for known in (self._names, self._values, self._first_names, self._shapes, self._addresses):
            known.clear()

    def _learn(self, text: str, spans: Sequence[Span]) -> None:
        values = [(span.start, span.end, span.category, True) for span in spans]
        looks = [(start, end, name, False) for start, end, name in _lookalikes(text, spans)]
        for start, end, what, is_value in sorted((*values, *looks)) if looks else values:
            if is_value:
                self._name(text[start:end], what)
            elif what in self._values:
                self._name(text[start:end], _TEXT)
            else:
                self._foreign.add(what)

    def _name(self, value: str, category: str) -> None:
        if value in self._names:
            return
        canonical = _canonical(value)
        first = self._first_names.get(canonical)
        if first is None:
            name = self._first_names[canonical] = self._next(f"{_kind(category)}_", 0)
        else:
            name = self._next(f"{first}.", 1)
        self._names[value], self._values[name] = name, value
        word = _WORD.search(value)
        if word and len(value) >= _SHORTEST and len(self._shapes[word[0]]) < _MOST_SHAPES:
            self._shapes[word[0]][word.start(), len(value)] = None

    def _next(self, prefix: str, least: int) -> str:
        while True:
            self._counts[prefix] = max(self._counts[prefix], least) + 1
            name = f"{prefix}{self._counts[prefix]}"
            if name not in self._foreign:
                return name

    def _hidden(self, text: str, spans: Iterable[Span]) -> list[tuple[int, int, str]]:
        found = _disjoint(spans)
        self._learn(text, found)
        if not self._names:
            return []
        looks = [
            Span(start, end, _TEXT)
            for start, end, name in _lookalikes(text, found)
            if name in self._values
        ]
        # What was found comes first; what is only known takes the room that is left.
        hidden = _first_of(found, _first_of(looks, self._known(text)))
        return [(start, end, f"[{self._names[text[start:end]]}]") for start, end, _ in hidden]

    def _known(self, text: str) -> list[Span]:
        """Find the values learnt where they stand as whole words."""
        known: list[Span] = []
        for word in _WORD.finditer(text):
            longest = 0
            for before, length in self._shapes.get(word[0], ()):
                start = word.start() - before
                end = start + length
                fits = start >= 0 and length > longest and text[start:end] in self._names
                if fits and _is_whole(text, start, end):
                    longest = length
                    place = Span(start, end, _TEXT)
            if longest and (not known or known[-1].end <= place.start):
                known.append(place)
        return known


def _lookalikes(text: str, spans: Sequence[Span]) -> Iterator[Placeholder]:
    """Give what looks like a placeholder between the spans: within one it is hidden with it."""
    starts, ends = [0, *(span.end for span in spans)], [*(span.start for span in spans), len(text)]
    for start, end in zip(starts, ends, strict=True):
        for look in placeholders(text[start:end]):
            yield Placeholder(start + look.start, start + look.end, look.name)


def _kind(category: str) -> str:
    kind = re.sub(r"[^A-Z0-9]+", "_", category.upper()).strip("_")[:_KIND_CHARS].strip("_")
    return kind if kind[:1].isalpha() else _TEXT.upper()


def _canonical(value: str) -> str:
    """Return what the spellings of one value share."""
    digits = sum(map(str.isdigit, value))
    if digits > max(_DATE_DIGITS, len(value) // 2):
        return "".join(filter(str.isalnum, value.casefold()))
    return _BLANKS.sub(" ", value.strip().casefold())


def _disjoint(spans: Iterable[Span]) -> list[Span]:
    """Join the spans that overlap; of their categories the longest span's counts."""
    joined: list[Span] = []
    longest = 0
    for span in sorted(spans):
        length = span.end - span.start
        if not joined or span.start >= joined[-1].end:
            joined.append(span)
            longest = length
        else:
            last = joined[-1]
            category = span.category if length > longest else last.category
            joined[-1] = Span(last.start, max(last.end, span.end), category)
            longest = max(longest, length)
    return joined


def _first_of(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    """Return all of the first, and those of the second that overlap none; each is disjoint."""
    chosen: list[Span] = []
    waiting = iter(second)
    span = next(waiting, None)
    for kept in first:
        while span is not None and span.end <= kept.start:
            chosen.append(span)
            span = next(waiting, None)
        while span is not None and span.start < kept.end:
            span = next(waiting, None)
        chosen.append(kept)
    if span is not None:
        chosen += (span, *waiting)
    return chosen


def _is_whole(text: str, start: int, end: int) -> bool:
    """Tell whether neither end of a part of a text stands inside a word."""
    return not (
        (start > 0 and _joins(text[start - 1], text[start]))
        or (end < len(text) and _joins(text[end - 1], text[end]))
    )


def _joins(left: str, right: str) -> bool:
    return all(character == "_" or character.isalnum() for character in (left, right))


def _spliced(text: str, parts: Sequence[tuple[int, int, str]]) -> str:
    if not parts:
        return text
    pieces: list[str] = []
    kept = 0
    for start, end, new in parts:
        pieces += (text[kept:start], new)
        kept = end
    return "".join((*pieces, text[kept:]))
