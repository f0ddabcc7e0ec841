"""What the contract refuses, as a caller of the native API reads it."""

from collections.abc import Callable
from contextlib import aclosing

import pytest

from catenary.v1 import error_reason_pb2 as reasons
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.errors import MeshError
from services.gateway.validation import MAX_VIOLATIONS, check_generate
from tests.fakes import Scripted, answer, call
from tests.fakes import request as a_request
from tests.gateway.parts import gateway

Change = Callable[[pb.GenerateRequest], object]


def error_of(request: pb.GenerateRequest) -> MeshError:
    with pytest.raises(MeshError) as caught:
        check_generate(request)
    assert caught.value.reason == reasons.ERROR_REASON_INVALID_REQUEST
    return caught.value


def tool(schema: str = "", name: str = "look_up") -> message_pb2.Tool:
    return message_pb2.Tool(name=name, parameters_schema=schema)


BAD: list[tuple[Change, str, str]] = [
    (lambda r: setattr(r, "model", ""), "model", "at least 1"),
    (lambda r: setattr(r, "model", "m" * 257), "model", "at most 256"),
    (lambda r: setattr(r, "request_id", "two words"), "request_id", "regex"),
    (lambda r: r.ClearField("messages"), "messages", "at least 1 item"),
    (lambda r: r.messages.extend([r.messages[0]] * 2048), "messages", "no more than 2048"),
    (lambda r: setattr(r.messages[0], "role", 0), "messages[0].role", "must be ROLE_SYSTEM"),
    (lambda r: setattr(r.messages[0], "role", 9), "messages[0].role", "must be ROLE_SYSTEM"),
    (lambda r: r.messages[0].ClearField("content"), "messages[0].content", "not be empty"),
    (lambda r: r.messages[0].content.add(text=""), "messages[0].content[1].text", "at least 1"),
    (lambda r: r.messages[0].content.add(), "messages[0].content[1].part", "required"),
    (
        lambda r: r.messages[0].content.add(media=message_pb2.Media(url="file:///etc/passwd")),
        "messages[0].content[1].media.url",
        "https?",
    ),
    (
        lambda r: r.messages[0].content.add(media=message_pb2.Media(data=b"")),
        "messages[0].content[1].media.data",
        "not be empty",
    ),
    (lambda r: setattr(r.messages[0], "tool_call_id", "c"), "messages[0].tool_call_id", "tool's"),
    (
        lambda r: r.messages[0].tool_calls.add(id="c", name="f"),
        "messages[0].tool_calls",
        "assistant",
    ),
    (lambda r: setattr(r.sampling, "temperature", 2.5), "sampling.temperature", "or equal to 2"),
    (lambda r: setattr(r.sampling, "temperature", -1), "sampling.temperature", "or equal to 0"),
    (lambda r: setattr(r.sampling, "top_p", float("nan")), "sampling.top_p", "greater than 0"),
    (lambda r: setattr(r.sampling, "top_p", 0), "sampling.top_p", "greater than 0"),
    (lambda r: setattr(r.sampling, "n", 1000), "sampling.n", "or equal to 128"),
    (lambda r: setattr(r.sampling, "max_output_tokens", 0), "sampling.max_output_tokens", "1"),
    (lambda r: setattr(r.sampling, "repetition_penalty", 0), "sampling.repetition_penalty", "0"),
    (lambda r: setattr(r.sampling, "logprobs", 21), "sampling.logprobs", "or equal to 20"),
    (lambda r: r.sampling.stop.append(""), "sampling.stop[0]", "at least 1"),
    (lambda r: r.sampling.logit_bias.update({7: 101.0}), "sampling.logit_bias[7]", "100"),
    (
        lambda r: r.sampling.MergeFrom(
            message_pb2.Sampling(min_output_tokens=5, max_output_tokens=4)
        ),
        "sampling.min_output_tokens",
        "max_output_tokens",
    ),
    (lambda r: r.tools.append(tool("{")), "tools[0].parameters_schema", "a JSON object"),
    (lambda r: r.tools.append(tool("[1]")), "tools[0].parameters_schema", "a JSON object"),
    (
        lambda r: r.tools.append(tool('{"a":' * 20_000)),
        "tools[0].parameters_schema",
        "a JSON object",
    ),
    (lambda r: r.tools.append(tool(name="no spaces")), "tools[0].name", "regex"),
    (
        lambda r: r.MergeFrom(
            pb.GenerateRequest(
                response_format=message_pb2.ResponseFormat(
                    json_schema=message_pb2.JsonSchema(name="s", schema="no JSON")
                )
            )
        ),
        "response_format.json_schema.schema",
        "a JSON object",
    ),
    (lambda r: setattr(r.tool_choice, "mode", 3), "tool_choice.mode", "tools is empty"),
    (lambda r: setattr(r.tool_choice, "mode", 4), "tool_choice.name", "one of tools"),
    (lambda r: setattr(r.controls, "priority", 10), "controls.priority", "or equal to 9"),
    (lambda r: setattr(r.controls.cache, "mode", 9), "controls.cache.mode", "defined"),
    (lambda r: setattr(r.controls.cache, "error_bound", 2), "controls.cache.error_bound", "1"),
]


@pytest.mark.parametrize(("change", "field", "allowed"), BAD, ids=[field for _, field, _ in BAD])
def test_one_error_names_the_field_and_what_is_allowed(
    change: Change, field: str, allowed: str
) -> None:
    request = a_request()
    change(request)
    error = error_of(request)
    assert error.violations[0].field == field
    assert error.metadata["field"] == field
    assert allowed in error.violations[0].description
    assert str(error).startswith(f"{field}: ")


def test_all_violations_come_together_up_to_a_bound() -> None:
    request = a_request()
    request.sampling.temperature = 3
    request.sampling.n = 0
    assert [v.field for v in error_of(request).violations] == ["sampling.temperature", "sampling.n"]
    request.sampling.stop.extend([""] * 16)
    assert len(error_of(request).violations) == MAX_VIOLATIONS


@pytest.mark.parametrize(
    "message",
    [
        message_pb2.Message(
            role=message_pb2.ROLE_ASSISTANT,
            tool_calls=[message_pb2.ToolCall(id="c", name="f", arguments="{}")],
        ),
        message_pb2.Message(role=message_pb2.ROLE_TOOL, tool_call_id="c"),
    ],
    ids=["tool calls stand for content", "a tool that returns nothing"],
)
def test_content_may_be_missing_where_that_says_something(message: message_pb2.Message) -> None:
    request = a_request()
    request.messages.append(message)
    check_generate(request)


async def test_the_upstream_never_sees_what_breaks_a_rule() -> None:
    upstream = Scripted(answer("hi"))
    request = a_request()
    request.sampling.temperature = 3
    with pytest.raises(MeshError):
        async with aclosing(gateway(upstream).generate(request, call())) as events:
            await anext(events)
    assert upstream.requests == []
