"""Toy detectors and rules, and texts that are cut anyhow."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import TypeAlias

from hypothesis import strategies as st

from catenary.config.v1 import safety_pb2
from services.safety.detector import Detector, Finding, Text
from services.safety.stream.rules import Judged

Action: TypeAlias = safety_pb2.SafetyAction.ValueType

ALLOW = safety_pb2.SAFETY_ACTION_ALLOW
PSEUDONYMISE = safety_pb2.SAFETY_ACTION_PSEUDONYMISE
REDACT = safety_pb2.SAFETY_ACTION_REDACT
BLOCK = safety_pb2.SAFETY_ACTION_BLOCK


@dataclass
class Toy:
    """Finds every match of an expression, those that overlap too."""

    name: str
    pattern: str
    reach: int
    threshold: float = 0.5
    seen: list[Text] = field(default_factory=list)

    def find(self, text: Text) -> Sequence[Finding]:
        self.seen.append(text)
        return [
            Finding(match.start(), match.end(1), self.name, self.name, 1.0)
            for match in re.finditer(f"(?=({self.pattern}))", text.raw)
        ]


@dataclass
class Growing(Toy):
    """Tells by itself where a match may begin that is not over."""

    beginning: str = ""

    def open_from(self, tail: str) -> int:
        match = re.search(f"(?:{self.beginning})\\Z", tail)
        return match.start() if match else len(tail)


class Table:
    """Rules: what to do about what each detector finds."""

    profile = "toy"

    def __init__(self, table: Sequence[tuple[Detector, Action]]) -> None:
        self._table = table
        self.detectors = [detector for detector, _ in table]
        self.holds_sentences = any(
            not detector.reach and action == BLOCK for detector, action in table
        )

    def judged(self, text: Text) -> Sequence[Judged]:
        return self._judged(text, lambda reach: reach > 0)

    def judged_whole(self, text: Text) -> Sequence[Judged]:
        return self._judged(text, lambda reach: reach == 0)

    def _judged(self, text: Text, looks: Callable[[int], bool]) -> list[Judged]:
        return [
            Judged(found.start, found.end, action, found)
            for detector, action in self._table
            if looks(detector.reach)
            for found in detector.find(text)
        ]


def toys() -> list[Toy]:
    """Of all shapes: short and long, with blanks, overlapping themselves, growing, of no bound."""
    return [
        Toy("phrases", "abba|b a|aab", 4),
        Toy("digits", r"1(?: ?1){5,11}", 24),
        Toy("spread", r"b[^b]{20,60}c", 62),
        Toy("unbounded", r"cc+", 8),
        Growing("hooked", r"A[ab ]{0,30}\.", 32, beginning=r"A[ab ]{0,30}"),
        Toy("pii", r"[AB]b*(?: [AB]b*){1,3}", 40),
        Toy("links", r"\[a*\]\(a*\)", 40),
    ]


TABLES = st.lists(
    st.tuples(st.sampled_from(range(7)), st.sampled_from([ALLOW, PSEUDONYMISE, REDACT, BLOCK])),
    max_size=4,
    unique_by=lambda pair: pair[0],
)

_FRAGMENTS = st.sampled_from(
    [
        *(
            "a",
            "b",
            "c",
            " ",
            "A",
            "B",
            ".",
            "1",
            "\n",
            "[",
            "](a)",
            "\u3002",
            "\u6f22",
            "ß",
            "[a]",
        ),
        *(
            "abba",
            "ab",
            "111 111 1",
            "A b",
            "Ab Bb ",
            "a " * 9,
            "cc",
            "c" * 40,
            "1" * 30,
            "[TEXT_1]",
        ),
        *("ba " * 30, "abc" * 20, "word ", "harm ", "b" + "a" * 40 + "c", "  ", "A aba b."),
    ]
)
TEXTS = st.lists(_FRAGMENTS, max_size=20).map("".join)


@st.composite
def cut_texts(draw: st.DrawFn) -> list[str]:
    """A text in pieces, most of them small, some empty."""
    text = draw(TEXTS) * draw(st.sampled_from([1, 1, 2, 9]))
    sizes = draw(st.lists(st.sampled_from([0, 1, 2, 3, 5, 9, 40, 200]), max_size=8))
    pieces: list[str] = []
    for size in cycle((*sizes, 1000)):
        if not text:
            return pieces
        pieces.append(text[:size])
        text = text[size:]
    return pieces
