"""Answers in JSON: judged as they are meant, and written as they were."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from catenary.config.v1 import safety_pb2
from catenary.v1 import generation_pb2 as pb
from services.safety.escapes import Unescaped, begins_at
from services.safety.looking import Looking
from services.safety.metrics import SafetyMetrics
from services.safety.stream.json_window import JsonWindow
from services.safety.stream.window import Part
from tests.fakes import CONTENT_FILTER, delta, finished, request, started, text_of
from tests.safety.stream.playing import ada, output, reasons
from tests.safety.stream.real import rules_of
from tests.safety.stream.rules import BLOCK, REDACT, TABLES, Action, Table, cut_texts, toys

FINDS = dict.fromkeys(("pii", "secrets", "deny", "links"), REDACT)
KEY = "AKIA" + "Z" * 16


@pytest.fixture
def looking() -> Iterator[Looking]:
    looking = Looking(SafetyMetrics(CollectorRegistry()), 1)
    yield looking
    looking.close()


def answered(
    said: str, actions: Mapping[str, Action], looking: Looking, size: int, *, in_json: bool
) -> tuple[str, list[int]]:
    handlings = {kind: safety_pb2.SafetyHandling(action=action) for kind, action in actions.items()}
    asked = request()
    if in_json:
        asked.response_format.json_object = True
    filtered = output(rules_of(handlings, looking), asked, ada())
    cuts = [said[at : at + size] for at in range(0, len(said), size)]
    events: list[pb.GenerateResponse] = []
    for event in [started(), *map(delta, cuts), finished()]:
        events += filtered.read(event)
    return text_of(events), reasons(events)


def spelt(text: str) -> str:
    return "".join(f"\\u{ord(letter):04X}" for letter in text)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("in_json", [False, True])
@pytest.mark.parametrize(
    ("value", "told"),
    [
        (KEY[:-1] + "\\u005a", "[REDACTED]"),
        (spelt("4111") + " 1111 1111 1111", "[REDACTED]"),
        (spelt("4111 1111 1111 1111"), "[REDACTED]"),
        ("pay:\\n4111 1111 1111 1111", "pay:\\n[REDACTED]"),
        ("alice\\u0040harbour.example", "[REDACTED]"),
        ("blue\\u0020bird", "[REDACTED]"),
        ("https:\\/\\/b.example\\/p", "[REDACTED]"),
        ("it is 5 \\/ 8 \\u00e9, \\\\server \\u", "it is 5 \\/ 8 \\u00e9, \\\\server \\u"),
    ],
)
def test_escapes_hide_nothing(
    looking: Looking,
    value: str,
    told: str,
    size: int,
    in_json: bool,  # noqa: FBT001
) -> None:
    said = f'{{"note": "{value}", "n": 1}}'
    left, _ = answered(said, FINDS, looking, size, in_json=in_json)
    left = re.sub(r"\[REDACTED:\w+\]", "[REDACTED]", left)
    assert left == f'{{"note": "{told}", "n": 1}}'


@pytest.mark.parametrize("in_json", [False, True])
def test_what_is_blocked_does_not_leave_escaped(
    looking: Looking,
    in_json: bool,  # noqa: FBT001
) -> None:
    said = f'{{"a": "{spelt("blue bird")}"}}'
    left, ends = answered(said, {"deny": BLOCK}, looking, 1, in_json=in_json)
    assert left == '{"a": "'
    assert ends == [CONTENT_FILTER]


def test_values_come_back_as_json_writes_them(looking: Looking) -> None:
    said = '{"who": "\\u005bPERSON_1]", "at": "[PERSON_1]"}'
    left, _ = answered(said, {}, looking, 3, in_json=True)
    assert json.loads(left) == {"who": 'Ada "A" Byron', "at": 'Ada "A" Byron'}


SPELLINGS = st.sampled_from(
    ["\\u0041", "\\ud83d\\ude00", "\\ud83d", "\\", '\\"', "\\n", "\\\\", "u"]
)


@given(
    cut_texts(), st.lists(SPELLINGS, max_size=6), TABLES, st.lists(st.integers(1, 9), min_size=1)
)
def test_a_window_on_json_says_what_a_window_on_its_meaning_says(
    pieces: list[str], spellings: Sequence[str], pairs: list[tuple[int, Action]], sizes: list[int]
) -> None:
    spelling = cycle([*spellings, "a"])
    raw = "".join(piece + next(spelling) for piece in pieces)
    table = Table([(toys()[index], action) for index, action in pairs])
    left, parts, lengths = raw, list[Part](), cycle(sizes)
    window = JsonWindow(table, ada(), lambda _: None)
    while left:
        size = next(lengths)
        parts += window.push(left[:size])
        left = left[size:]
    parts += window.finish()
    whole = JsonWindow(table, ada(), lambda _: None)
    at_once = [*whole.push(raw), *whole.finish()]
    assert "".join(part.text for part in parts) == "".join(part.text for part in at_once)
    assert (window.left, window.blocked) == (whole.left, whole.blocked)
    for part in (part for part in parts if not part.changed):
        assert part.text == raw[part.start : part.end]
    assert [part.start for part in parts] == [0, *(part.end for part in parts)][: len(parts)]


@given(st.lists(SPELLINGS, max_size=6).map("".join), st.integers(0, 40))
def test_an_escape_that_is_cut_off_is_waited_for(text: str, at: int) -> None:
    whole = begins_at(text[:at])
    meant = Unescaped(text[:whole]).text + Unescaped(text[whole:]).text
    assert meant == Unescaped(text).text
