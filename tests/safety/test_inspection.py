"""What comes of a request: which texts are looked at, and what is put in the place of findings."""

import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from catenary.v1 import decision_pb2, embeddings_pb2, message_pb2
from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from services.safety import json_text, passages
from services.safety.detector import Source
from services.safety.inspection import Case, Passed
from tests.fakes import call, request
from tests.guarding import inspector, policy
from tests.safety.toys import Words, install

ANNA = "anna@mail.example"
KEY = "key-123"
BOMB = "bomb"
POLICY = """
profiles:
- name: a
  rules:
  - pii: {}
    input: {action: pseudonymise}
    documents: {action: pseudonymise}
  - secrets: {}
    input: {action: redact}
  - harm: {}
    input: {action: block}
    deadline: DEADLINE
    on_failure: FAILURE
"""


class Desk:
    """An inspector with a policy of toys."""

    def __init__(self, registry: CollectorRegistry, **settings: str) -> None:
        text = POLICY
        for name, value in {"DEADLINE": "30s", "FAILURE": "closed", **settings}.items():
            text = text.replace(name, value)
        self.registry = registry
        self.inspector = inspector(registry)
        read = policy(text)
        self.case = Case(read, read.profile("default", ""), call())

    async def inspect(self, asked: pb.GenerateRequest) -> Passed[pb.GenerateRequest]:
        rules = self.case.profile.rules
        return await self.inspector.inspect(asked, passages.of_request, rules, self.case, 100_000)

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"catenary_safety_{name}", labels) or 0

    def found(self, detector: str, category: str, verdict: str) -> float:
        labels = {"direction": "input", "profile": "a"}
        name = "findings_total"
        return self.count(name, detector=detector, category=category, verdict=verdict, **labels)


def told(passed: Passed[pb.GenerateRequest]) -> list[tuple[str, str, int]]:
    return [(one.detector, one.category, one.verdict) for one in passed.findings]


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> dict[str, Words]:
    made = {
        "pii": Words("pii", [ANNA]),
        "secrets": Words("secrets", [KEY]),
        "harm": Words("harm", [BOMB], severity=3),
    }
    install(monkeypatch, **made)
    return made


@pytest.fixture
async def desk(
    registry: CollectorRegistry,
    toys: dict[str, Words],
) -> AsyncIterator[Callable[..., Desk]]:
    del toys
    made: list[Desk] = []

    def make(**settings: str) -> Desk:
        made.append(Desk(registry, **settings))
        return made[-1]

    yield make
    for one in made:
        one.inspector.close()


async def test_a_request_without_findings_passes_as_it_is(desk: Callable[..., Desk]) -> None:
    asked = request("nothing to see")
    passed = await desk().inspect(asked)
    assert passed.request is asked
    assert not passed.findings


async def test_what_is_found_is_rewritten_in_a_copy(desk: Callable[..., Desk]) -> None:
    asked = request(f"write to {ANNA} with {KEY}, not to {ANNA}")
    before = asked.SerializeToString()
    made = desk()
    passed = await made.inspect(asked)
    text = passed.request.messages[0].content[0].text
    assert ANNA not in text
    assert KEY not in text
    blotted = f"[REDACTED:{KEY.upper()}]"
    restored = passed.pseudonyms.restore(text)
    assert restored == f"write to {ANNA} with {blotted}, not to {ANNA}"
    assert asked.SerializeToString() == before
    assert [(one.detector, one.count, one.verdict) for one in passed.findings] == [
        ("secrets", 1, decision_pb2.VERDICT_REDACT),
        ("pii", 2, decision_pb2.VERDICT_PSEUDONYMISE),
    ]
    assert made.found("pii", ANNA, "pseudonymise") == 2


async def test_nothing_of_a_value_is_left_anywhere_in_the_request(
    desk: Callable[..., Desk],
) -> None:
    asked = request(ANNA)
    turn = asked.messages[0]
    turn.content.add(text="to ")
    turn.content.add(text=f"{ANNA[:5]}")
    turn.content.add(text=ANNA[5:])
    turn.content.add(reasoning=f"thought of {ANNA}")
    turn.content.add().media.url = f"https://x.example/?q={ANNA}"
    turn.name = ANNA
    turn.tool_calls.add(name="t", arguments=json.dumps({"to": ANNA, ANNA: [1, f"<{ANNA}>"]}))
    turn.tool_calls.add(name="t", arguments='{"to": "\\u0061nna@mail.example\\n"}')
    tool = asked.tools.add(name="t", description=f"asks {ANNA}")
    tool.parameters_schema = json.dumps({"type": "string", "enum": [ANNA]})
    asked.response_format.json_schema.description = ANNA
    asked.response_format.json_schema.schema = json.dumps({"const": ANNA})
    asked.continuation.text = f"So {ANNA}"
    answered = asked.messages.add(role=message_pb2.ROLE_TOOL, tool_call_id="1")
    answered.content.add(text=f"{ANNA} says no")
    passed = await desk().inspect(asked)
    assert ANNA.encode() not in passed.request.SerializeToString()
    assert "nna@" not in str(passed.request)
    for schema in (
        passed.request.tools[0].parameters_schema,
        passed.request.response_format.json_schema.schema,
        *(one.arguments for one in passed.request.messages[0].tool_calls),
    ):
        assert "[MAIL" not in schema
        restored = passed.pseudonyms.restore(schema, json=True)
        assert restored.count(ANNA) == schema.count("[SETUP_ANNA")
        json.loads(schema)


async def test_a_number_in_json_becomes_a_string(
    desk: Callable[..., Desk], toys: dict[str, Words]
) -> None:
    toys["pii"].words = ["4111111111111111"]
    asked = request("x")
    asked.messages[0].tool_calls.add(name="t", arguments='{"card": 4111111111111111, "n": 1.50}')
    passed = await desk().inspect(asked)
    arguments = passed.request.messages[0].tool_calls[0].arguments
    assert json.loads(arguments)["card"].startswith("[")
    assert arguments.endswith(', "n": 1.50}')


async def test_a_name_that_cannot_change_is_blocked_when_it_is_sure(
    desk: Callable[..., Desk], toys: dict[str, Words]
) -> None:
    toys["pii"].words = ["anna"]
    made, asked = desk(), request("x")
    asked.tools.add(name="ask_anna")
    with pytest.raises(MeshError, match=r"pii: anna"):
        await made.inspect(asked)
    toys["pii"].score = 0.6
    assert (await made.inspect(asked)).request is asked


async def test_a_block_tells_what_found_it_and_never_the_text(
    desk: Callable[..., Desk], caplog: pytest.LogCaptureFixture
) -> None:
    made = desk()
    with caplog.at_level(logging.DEBUG), pytest.raises(MeshError) as caught:
        await made.inspect(request(f"a {BOMB} for {ANNA}"))
    assert caught.value.metadata == {"detector": "harm", "category": BOMB}
    assert ANNA not in str(caught.value)
    assert ANNA not in caplog.text
    assert made.found("harm", BOMB, "block") == 1


@pytest.mark.parametrize("mode", ["open", "closed"])
async def test_a_detector_that_throws_stands_for_what_its_rule_says(
    desk: Callable[..., Desk],
    toys: dict[str, Words],
    mode: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    toys["harm"].fails = True
    made = desk(FAILURE=mode)
    if mode == "closed":
        with pytest.raises(MeshError) as caught:
            await made.inspect(request(f"hello {ANNA}"))
        assert caught.value.reason_name == "SAFETY_UNAVAILABLE"
        assert caught.value.metadata == {"detector": "harm"}
    else:
        passed = await made.inspect(request(f"hello {ANNA}"))
        assert ANNA not in str(passed.request)
        assert ("harm", "unavailable", decision_pb2.VERDICT_ALLOW) in told(passed)
    assert made.count("detector_failures_total", detector="harm", reason="error") == 1
    assert "ValueError" in str([record.__dict__ for record in caplog.records])
    assert ANNA not in str([record.__dict__ for record in caplog.records])


@pytest.mark.parametrize("mode", ["open", "closed"])
async def test_a_detector_that_is_late_is_not_waited_for_and_stops_no_other(
    desk: Callable[..., Desk], toys: dict[str, Words], mode: str
) -> None:
    toys["harm"].waits = release = threading.Event()
    made = desk(FAILURE=mode, DEADLINE="0.01s")
    try:
        if mode == "closed":
            with pytest.raises(MeshError, match="'harm' of the safety policy could not judge"):
                await made.inspect(request(f"hello {ANNA}"))
        else:
            passed = await made.inspect(request(f"hello {ANNA}"))
            assert ANNA not in str(passed.request)
            assert ("harm", "unavailable", decision_pb2.VERDICT_ALLOW) in told(passed)
        assert made.count("detector_failures_total", detector="harm", reason="late") == 1
    finally:
        release.set()


@pytest.mark.parametrize("fault", ["late", "error"])
async def test_what_was_to_be_hidden_does_not_pass_when_it_cannot_be_told(
    desk: Callable[..., Desk], toys: dict[str, Words], fault: str
) -> None:
    """The rules of `pii` and `secrets` say nothing of failures."""
    toys["pii"].fails = fault == "error"
    toys["pii"].waits = release = threading.Event()
    made = desk()
    made.case.profile.rules[0] = replace(made.case.profile.rules[0], deadline_s=0.01)  # type: ignore[index]
    if fault == "error":
        release.set()
    try:
        with pytest.raises(MeshError) as caught:
            await made.inspect(request(f"hello {ANNA}"))
        assert caught.value.reason_name == "SAFETY_UNAVAILABLE"
        assert caught.value.retry_after_s
        assert not made.found("pii", "unavailable", "block")
    finally:
        release.set()


async def test_texts_to_embed_are_rewritten_each_for_itself(desk: Callable[..., Desk]) -> None:
    made = desk()
    asked = embeddings_pb2.EmbedRequest(model="m", texts=["plain", f"to {ANNA}"])
    rules = made.case.profile.rules_for("documents")
    passed = await made.inspector.inspect(asked, passages.of_texts, rules, made.case, 1000)
    assert passed.request.texts[0] == "plain"
    assert ANNA not in passed.request.texts[1]


async def test_texts_stand_where_they_come_from(
    desk: Callable[..., Desk], toys: dict[str, Words]
) -> None:
    asked = request("said")
    asked.messages.add(role=message_pb2.ROLE_SYSTEM).content.add(text="told")
    asked.messages.add(role=message_pb2.ROLE_ASSISTANT).content.add(text="answered")
    asked.messages.add(role=message_pb2.ROLE_TOOL).content.add(text="returned")
    await desk().inspect(asked)
    assert [(text.raw, text.source) for text in toys["pii"].asked] == [
        ("said", Source.USER),
        ("told", Source.SYSTEM),
        ("answered", Source.USER),
        ("returned", Source.DOCUMENT),
    ]


async def test_a_picture_is_no_text(desk: Callable[..., Desk]) -> None:
    asked = request("look")
    asked.messages[0].content.add().media.url = f"data:image/png;base64,{BOMB}"
    assert (await desk().inspect(asked)).request is asked


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.booleans())
def test_the_values_of_any_json_are_its_strings_and_numbers(
    value: object,
    escapes: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    raw = json.dumps(value, ensure_ascii=escapes)
    text, values = json_text.decoded(raw)
    kept = json_text.changed(raw, values, [None] * len(values))
    assert kept == raw
    told = [text[one.start : one.end] for one in values]
    same = json_text.changed(
        raw,
        values,
        [t if raw[v.raw_start] == '"' else None for t, v in zip(told, values, strict=True)],
    )
    assert json.loads(same) == value


@given(st.text())
def test_any_text_is_read_and_stays_as_it_is(raw: str) -> None:
    text, values = json_text.decoded(raw)
    assert json_text.changed(raw, values, [None] * len(values)) == raw
    assert all(0 <= one.start <= one.end <= len(text) for one in values)
