"""Thought that comes in several pieces, with text of the answer between them."""

import re
from collections.abc import Iterator, Mapping, Sequence

import pytest
from prometheus_client import CollectorRegistry

from catenary.config.v1 import safety_pb2
from catenary.v1 import generation_pb2 as pb
from services.safety.looking import Looking
from services.safety.metrics import SafetyMetrics
from services.safety.stream.rules import Judged
from tests.fakes import CONTENT_FILTER, delta, finished, request, started, text_of
from tests.safety.stream.playing import ada, of, output, reasons, thinking
from tests.safety.stream.real import SYSTEM, rules_of
from tests.safety.stream.rules import BLOCK, REDACT, Action

ALL = dict.fromkeys(("pii", "secrets", "deny", "links", "prompt_leak", "characters"), REDACT)

ANSWER = "It burns, and nobody has seen it go out. Some say that it never did, in all these years."


@pytest.fixture
def looking() -> Iterator[Looking]:
    looking = Looking(SafetyMetrics(CollectorRegistry()), 1)
    yield looking
    looking.close()


def played(
    looking: Looking,
    actions: Mapping[str, Action],
    said: Sequence[pb.GenerateResponse],
    told: list[Judged] | None = None,
) -> list[pb.GenerateResponse]:
    handlings = {kind: safety_pb2.SafetyHandling(action=action) for kind, action in actions.items()}
    filtered = output(rules_of(handlings, looking), request(), ada(), told=told)
    return [one for event in [started(), *said, finished()] for one in filtered.read(event)]


def thought_in(events: Sequence[pb.GenerateResponse]) -> str:
    return "".join(one.reasoning for one in of(events))


@pytest.mark.parametrize(
    ("first", "second", "category"),
    [
        ("card 4111 1111 ", "1111 1111 ok", "CREDIT_CARD"),
        ("it is the blue", " bird that sings", "PHRASE"),
        (SYSTEM[:50], SYSTEM[50:], "SYSTEM_PROMPT"),
    ],
)
def test_what_is_found_over_a_pause_leaves_in_no_part(
    looking: Looking, first: str, second: str, category: str
) -> None:
    said = [thinking(first), delta("Well, "), delta("then "), thinking(second), delta("so.")]
    left = thought_in(played(looking, ALL, said))
    assert f"[REDACTED:{category}]" in left
    assert not any(part in left for part in ("4111", "1111", "blue", "bird", SYSTEM[8:20]))
    events = played(looking, dict.fromkeys(ALL, BLOCK), said)
    assert reasons(events) == [CONTENT_FILTER]
    assert not any(part in thought_in(events) for part in ("4111", "blue", SYSTEM[8:20]))


def test_a_thought_that_is_over_leaves_before_the_text(looking: Looking) -> None:
    thought = "The keeper asks for the light of the harbour, so I will tell of the"
    words = [delta(word) for word in re.findall(r"\S+ ?", ANSWER)]
    events = played(looking, ALL, [thinking(thought), *words])
    told = [one for one in of(events) if one.text or one.reasoning]
    texts = [bool(one.text) for one in told]
    before = told[: texts.index(True) + 1]
    assert "".join(one.reasoning for one in before) == thought
    assert text_of(events) == ANSWER


def test_the_text_that_is_told_is_what_was_blocked(looking: Looking) -> None:
    told: list[Judged] = []
    said = [delta("now blue bird and BB-1234")]
    played(looking, {"deny": BLOCK}, said, told)
    blocked = [one for one in told if one.action == BLOCK]
    assert [one.text for one in blocked] == ["blue bird"]
    assert blocked[0].finding.category == "phrase"
