"""What may not go up: prompts that are too long, and prompts that hold a denied phrase."""

import pytest
from prometheus_client import CollectorRegistry

from catenary.config.v1.mesh_pb2 import SafetyConfig
from catenary.v1 import decision_pb2, error_reason_pb2, message_pb2
from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from services.safety import Safety
from tests.conftest import Topology
from tests.fakes import Scripted, answer, call, kinds, request

DENIED = "Open Sesame"


def safety(upstream: Scripted, registry: CollectorRegistry, limit: int = 1000) -> Safety:
    config = SafetyConfig(max_prompt_chars=limit, deny=[DENIED])
    return Safety.configured(upstream, config, registry)


def hidden_in(place: str) -> pb.GenerateRequest:
    """A request with the phrase at one place that the model reads."""
    text = f"please, OPEN sesame for {place}"
    hiding = request()
    message, tool = hiding.messages[0], hiding.tools.add(name="t")
    message.tool_calls.add(name="t")
    if place in {"system", "user", "assistant", "tool"}:
        message.role = message_pb2.Role.Value(f"ROLE_{place.upper()}")
        message.content[0].text = text
    elif place == "two parts of a turn":
        message.content[0].text = "open se"
        message.content.add(text="same")
    elif place == "a long text, far in":
        message.content[0].text = "x" * 16_380 + text
    else:
        schema = hiding.response_format.json_schema
        owner, field = {
            "message.name": (message, "name"),
            "reasoning": (message.content.add(), "reasoning"),
            "refusal": (message.content.add(), "refusal"),
            "media.url": (message.content.add().media, "url"),
            "tool_call.name": (message.tool_calls[0], "name"),
            "tool_call.arguments": (message.tool_calls[0], "arguments"),
            "tool.name": (tool, "name"),
            "tool.description": (tool, "description"),
            "tool.parameters_schema": (tool, "parameters_schema"),
            "json_schema.name": (schema, "name"),
            "json_schema.description": (schema, "description"),
            "json_schema.schema": (schema, "schema"),
            "regex": (hiding.response_format, "regex"),
            "continuation.reasoning": (hiding.continuation, "reasoning"),
            "continuation.text": (hiding.continuation, "text"),
        }[place]
        setattr(owner, field, text)
    return hiding


@pytest.mark.parametrize(
    "place",
    [
        *("system", "user", "assistant", "tool"),
        *("two parts of a turn", "a long text, far in"),
        *("message.name", "reasoning", "refusal", "media.url"),
        *("tool_call.name", "tool_call.arguments"),
        *("tool.name", "tool.description", "tool.parameters_schema"),
        *("json_schema.name", "json_schema.description", "json_schema.schema", "regex"),
        *("continuation.reasoning", "continuation.text"),
    ],
)
async def test_a_denied_phrase_is_refused_wherever_the_model_would_read_it(
    place: str, registry: CollectorRegistry
) -> None:
    upstream = Scripted(answer("never"))
    link = safety(upstream, registry, limit=100_000)
    with pytest.raises(MeshError) as caught:
        _ = [event async for event in link.generate(hidden_in(place), call())]
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_PROMPT_BLOCKED
    assert caught.value.metadata == {"detector": "deny_list", "category": "deny_list"}
    assert "sesame" not in caught.value.message.lower()
    assert upstream.calls == []
    labels = {"detector": "deny_list", "verdict": "block", "direction": "input"}
    assert registry.get_sample_value("catenary_safety_findings_total", labels) == 1


async def test_a_phrase_across_two_turns_is_none(registry: CollectorRegistry) -> None:
    upstream = Scripted(answer("fine"))
    turns = request("open se")
    turns.messages.append(request("same").messages[0])
    events = [event async for event in safety(upstream, registry).generate(turns, call())]
    assert kinds(events) == ["started", "decision", "delta", "finished"]


async def test_the_length_limit_counts_all_that_the_model_reads(
    topology: Topology, registry: CollectorRegistry
) -> None:
    upstream = Scripted(answer("fine"))
    link = await topology.chain(
        lambda up: Safety.configured(up, SafetyConfig(max_prompt_chars=12), registry),
        terminal=upstream,
    )
    sized = request("ä" * 6)
    sized.messages.append(sized.messages[0])
    assert kinds([event async for event in link.generate(sized, call())])[-1] == "finished"
    sized.tools.add(name="t")
    with pytest.raises(MeshError) as caught:
        _ = [event async for event in link.generate(sized, call())]
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_INVALID_REQUEST
    assert caught.value.message == (
        "messages: the prompt has 13 characters, but at most 12 are allowed"
    )
    assert caught.value.metadata == {"field": "messages", "chars": "13", "max_chars": "12"}
    assert caught.value.violations[0].field == "messages"
    assert len(upstream.calls) == 1


async def test_a_profile_that_does_not_exist_is_refused(registry: CollectorRegistry) -> None:
    link = safety(Scripted(answer("fine")), registry)
    profiled = request()
    profiled.controls.safety_profile = "strict"
    with pytest.raises(MeshError, match=r"there is no safety profile 'strict'; there is 'default'"):
        _ = [event async for event in link.generate(profiled, call())]
    profiled.controls.safety_profile = "default"
    events = [event async for event in link.generate(profiled, call())]
    assert kinds(events)[-1] == "finished"


async def test_what_may_pass_is_told_right_after_started(registry: CollectorRegistry) -> None:
    link = safety(Scripted(answer("fine")), registry)
    events = [event async for event in link.generate(request(), call())]
    decision = events[1].decision.safety
    assert decision.verdict == decision_pb2.VERDICT_ALLOW
    assert decision.direction == decision_pb2.DIRECTION_INPUT
    assert decision.profile == "default"


def test_every_text_of_a_request_is_checked_or_known_not_to_reach_the_model() -> None:
    unread = {
        "request_id",
        "model",
        "end_user",
        "messages.tool_call_id",
        "messages.tool_calls.id",
        "messages.content.media.media_type",
        "messages.content.media.detail",
        "sampling.stop",
        "tool_choice.name",
        "controls.safety_profile",
        "controls.routing.prefer_backends",
        "controls.routing.session",
        "controls.routing.policy",
    }
    read = {
        "messages.name",
        "messages.content.text",
        "messages.content.reasoning",
        "messages.content.refusal",
        "messages.content.media.url",
        "messages.tool_calls.name",
        "messages.tool_calls.arguments",
        "tools.name",
        "tools.description",
        "tools.parameters_schema",
        "response_format.json_schema.name",
        "response_format.json_schema.description",
        "response_format.json_schema.schema",
        "response_format.regex",
        "continuation.reasoning",
        "continuation.text",
    }
    assert set(_texts(pb.GenerateRequest.DESCRIPTOR, "")) == read | unread


def _texts(descriptor: object, path: str) -> list[str]:
    found = []
    for field in descriptor.fields:  # type: ignore[attr-defined]
        name = f"{path}{field.name}"
        if field.type == field.TYPE_STRING:
            found.append(name)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            found += _texts(field.message_type, f"{name}.")
    return found
