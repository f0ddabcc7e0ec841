"""The promise, for the detectors that there are: whatever the policy, cuts change nothing."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from catenary.config.v1 import safety_pb2
from catenary.v1 import generation_pb2 as pb
from services.safety.answer_rules import AnswerRules
from services.safety.looking import Looking
from services.safety.metrics import SafetyMetrics
from services.safety.stream.rules import Judged
from tests.fakes import delta, finished, request, started
from tests.safety.stream.playing import _played, ada, calling, of, output, reasons, thinking
from tests.safety.stream.real import DETECTORS, SYSTEM, rules_of
from tests.safety.stream.rules import ALLOW, BLOCK, PSEUDONYMISE, REDACT

TOKEN = "ghp_" + "a1B2" * 9
HANDLINGS = st.builds(
    lambda action, threshold: safety_pb2.SafetyHandling(action=action, threshold=threshold),
    st.sampled_from([ALLOW, PSEUDONYMISE, REDACT, BLOCK]),
    st.sampled_from([None, 0, 0.3, 0.55, 0.7, 0.9, 1]),
)
POLICIES = st.dictionaries(st.sampled_from(list(DETECTORS)), HANDLINGS, max_size=5)
BITS = st.sampled_from(
    [
        *("a", " ", ". ", "\n", "\u3002", "'", '"', "\\", "x", "[", "1", "=", "q", "u"),
        *("some words that mean little, ", "and then\n", "Therefore ", "the ", "It is so. "),
        *("ada@harbour.example", "Ada Byron ", "12 Old Street, London ", "+44 20 7946 0958 "),
        *("4111 1111 ", "4111111111111111", "DE89 3704 0044 0532 0130 00", "born on 3 May 1977 "),
        *(TOKEN, "AKIA" + "Z" * 16, "password = ", '"blue Heron 42!" ', "eyJhbGciOiJIUzI1NiJ9."),
        *("c" * 70, "0Aa1" * 180, "-----BEGIN " + "RSA PRIVATE KEY-----\n", "MIIB" * 16 + "\n"),
        *("blue ", "BIRD", "Stra\u00dfe  9", "BB-1", "23", "b.l.u.e b.i.r.d", "Ymx1ZSBiaXJk "),
        *("![x](http", "s://b.example/?q=", "https://a.example/a ", "(see", ")", "javascript:a "),
        *("\u200b", "\u202e", "\U000e0041", "\ufeff", "\U0001f469\u200d\U0001f9b0", "\ue000 "),
        *(SYSTEM[:50], SYSTEM[50:], SYSTEM, "Das ist ein ganz langer deutscher Satz, sagte er. "),
        *(
            "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440",
            "\u6f22\u5b57",
            "\u0661\u0662",
        ),
        *("[PERSON_1]", "[PER", "SON_1]", "[person 1] ", "[EMAIL_1]", "{", "}", "\\u0061", "\\n"),
    ]
)
SEGMENTS = st.lists(
    st.tuples(
        st.sampled_from(["text", "text", "thought", "call", "other call"]),
        st.lists(BITS, min_size=1, max_size=14).map("".join),
    ),
    min_size=1,
    max_size=5,
)
SIZES = st.lists(st.sampled_from([1, 2, 3, 5, 17, 60, 400]), min_size=1, max_size=6)


class Outcome(NamedTuple):
    """All that somebody may see of an answer, and what is counted of it."""

    text: str
    thought: str
    calls: list[tuple[int, str, str]]
    reasons: list[int]
    decided: dict[tuple[str, str, int], tuple[int, float]]
    told: list[Judged]


@pytest.fixture(scope="module")
def looking() -> Iterator[Looking]:
    looking = Looking(SafetyMetrics(CollectorRegistry()), 1)
    yield looking
    looking.close()


def script(segments: Sequence[tuple[str, str]], sizes: Sequence[int]) -> list[pb.GenerateResponse]:
    events = [started()]
    lengths = cycle(sizes)
    for kind, said in segments:
        left = said
        while left:
            piece, left = left[: (size := next(lengths))], left[size:]
            events.append(
                delta(piece)
                if kind == "text"
                else thinking(piece)
                if kind == "thought"
                else calling(len(kind) // 5, arguments=piece)
            )
    return [*events, finished()]


def outcome(events: Sequence[pb.GenerateResponse], rules: AnswerRules, *, in_json: bool) -> Outcome:
    told: list[Judged] = []
    asked = request()
    if in_json:
        asked.response_format.json_object = True
    leaving = list(_played(output(rules, asked, pseudonyms=ada(), told=told), events))
    decided: dict[tuple[str, str, int], tuple[int, float]] = {}
    for event in leaving:
        for one in event.decision.safety.findings:
            key = one.detector, one.category, one.verdict
            count, score = decided.get(key, (0, 0.0))
            decided[key] = count + one.count, max(score, one.score)
    return Outcome(
        text="".join(one.text for one in of(leaving)),
        thought="".join(one.reasoning for one in of(leaving)),
        calls=[
            (call.index, call.name, call.arguments)
            for one in of(leaving)
            for call in one.tool_calls
        ],
        reasons=reasons(leaving),
        decided=decided,
        told=told,
    )


@settings(max_examples=60)
@given(handlings=POLICIES, segments=SEGMENTS, sizes=SIZES, in_json=st.booleans())
def test_what_leaves_and_what_is_told_are_the_same_for_every_cut(
    looking: Looking,
    handlings: dict[str, safety_pb2.SafetyHandling],
    segments: list[tuple[str, str]],
    sizes: list[int],
    in_json: bool,  # noqa: FBT001
) -> None:
    rules = rules_of(handlings, looking)
    whole = outcome(script(segments, [1_000_000]), rules, in_json=in_json)
    assert outcome(script(segments, sizes), rules, in_json=in_json) == whole
    assert outcome(script(segments, [1]), rules, in_json=in_json) == whole
