"""Answers without end: the work grows with the text alone, and what is remembered not at all."""

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat

import pytest
from prometheus_client import CollectorRegistry

from catenary.config.v1 import safety_pb2
from services.safety.detector import Detector, Text
from services.safety.looking import Looking
from services.safety.metrics import SafetyMetrics
from services.safety.stream.output import Output
from services.safety.stream.rules import Judged, Rules
from tests.fakes import delta, finished, request, started
from tests.safety.stream.playing import ada
from tests.safety.stream.real import DETECTORS, rules_of
from tests.safety.stream.rules import BLOCK, REDACT, Action

STANDARD = {"secrets": REDACT, "characters": REDACT, "links": REDACT, "prompt_leak": BLOCK}
STRICT = dict.fromkeys(DETECTORS.keys() - {"length"}, REDACT)
PROSE = (
    "The keeper climbs the stairs at dusk, trims the wick and writes the hour into the book. "
    'Then (as "always") she waits for the boats; 12 of them are out, and it may rain.\n'
)
FOUND = "Ask Ada Byron, ada@harbour.example, [PERSON_1], for AKIA" + "Z" * 16 + ".\n"
TEXT = f"{PROSE * 3}{FOUND}"
FEW = 12
MOST_SHOWN = 16
"""How often a character is shown to the detectors: again with what stands behind it, or before."""


@dataclass
class Counting:
    """Counts the characters that detectors are shown."""

    rules: Rules
    shown: int = 0
    profile: str = "counting"
    detectors: Sequence[Detector] = field(init=False)
    holds_sentences: bool = field(init=False)

    def __post_init__(self) -> None:
        self.detectors = self.rules.detectors
        self.holds_sentences = self.rules.holds_sentences

    def judged(self, text: Text) -> Sequence[Judged]:
        self.shown += len(text.before) + len(text.raw)
        return self.rules.judged(text)

    def judged_whole(self, text: Text) -> Sequence[Judged]:
        self.shown += len(text.raw)
        return self.rules.judged_whole(text)


@pytest.fixture
def looking() -> Iterator[Looking]:
    looking = Looking(SafetyMetrics(CollectorRegistry()), 1)
    yield looking
    looking.close()


def rules_for(actions: Mapping[str, Action], looking: Looking) -> Counting:
    handlings = {kind: safety_pb2.SafetyHandling(action=action) for kind, action in actions.items()}
    return Counting(rules_of(handlings, looking))


def left_by(rules: Counting, text: str, times: int, size: int) -> int:
    """Play an answer that says a text many times; return how many characters of it left."""
    filtered = Output(request(), rules, ada(), lambda _: None, lambda _: None)
    whole = text if size < len(text) else text * times
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    said = chain.from_iterable(repeat(pieces, times * len(text) // len(whole)))
    events = chain([started()], map(delta, said), [finished()])
    return sum(len(one.delta.text) for event in events for one in filtered.read(event))


@pytest.mark.parametrize("actions", [STANDARD, STRICT], ids=["standard", "strict"])
def test_the_work_is_in_proportion_and_the_same_for_every_cut(
    looking: Looking, actions: Mapping[str, Action]
) -> None:
    shown: list[int] = []
    for size, times in ((10, FEW), (10, 5 * FEW), (1_000_000, 5 * FEW)):
        rules = rules_for(actions, looking)
        chars = times * len(TEXT)
        assert left_by(rules, TEXT, times, size) > chars // 2
        assert rules.shown < MOST_SHOWN * chars
        shown.append(rules.shown)
    assert shown[1] < 5.5 * shown[0]
    assert shown[2] == shown[1]


@pytest.mark.parametrize("actions", [STANDARD, STRICT], ids=["standard", "strict"])
def test_what_is_remembered_does_not_grow_with_the_text(
    looking: Looking, actions: Mapping[str, Action]
) -> None:
    rules = rules_for(actions, looking)
    peaks: list[int] = []
    for times in (FEW, FEW, 10 * FEW):
        tracemalloc.start()
        try:
            left_by(rules, PROSE, times, 10)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    # The first time detectors learn the words.
    assert peaks[2] - peaks[1] < 5 * FEW * len(PROSE)
