"""What a caller of OpenAI's API reads when a body is none."""

import json

import pytest

from catenary.v1 import error_reason_pb2 as reasons
from services.errors import MeshError
from services.gateway.openai.decode import decode
from services.gateway.openai.envelope import envelope
from tests.gateway.bodies import body, message

BAD: list[tuple[bytes, str | None, str]] = [
    (b"", None, "the body is empty, but must be a JSON object"),
    (b"{", None, "the body is not JSON: it ends too early (byte 1)"),
    (b'{"model": nope}', None, "the body is not JSON: invalid character (byte 14)"),
    (b'{"model": "a",}', None, "the body is not JSON: trailing comma in object (byte 14)"),
    (b'{"model": "\xff"}', None, "the body is not UTF-8: byte 11 cannot be read"),
    (b"[]", None, "the body must be an object, not a list"),
    (b"null", None, "the body must be an object, not null"),
    (b'{"tools":' + b"[" * 100_000, "tools[0]", "tools[0]: must be an object, not a list"),
    (b'{"metadata":' + b"[" * 100_000, None, "the body is nested too deeply"),
    (b"{}", "model", "model: is required"),
    (b'{"model": "pocket"}', "messages", "messages: is required"),
    (body(model=7), "model", "model: must be a string, not a whole number"),
    (body(messages="hi"), "messages", "messages: must be a list, not a string"),
    (message(content="hi"), "messages[0].role", "messages[0].role: is required"),
    (
        message(role="robot", content="hi"),
        "messages[0].role",
        "messages[0].role: must be one of 'system', 'developer', 'user', 'assistant', 'tool'",
    ),
    (message(role=5), "messages[0].role", "messages[0].role: must be a string"),
    (message(role="user"), "messages[0].content", "messages[0].content: is required"),
    (
        message(role="user", content=None),
        "messages[0].content",
        "messages[0].content: must be a string or a list, not null",
    ),
    (
        message(role="user", content=[{"type": "smell"}]),
        "messages[0].content[0].type",
        (
            "messages[0].content[0].type: must be 'text', in a user's turn also 'image_url', "
            "in an assistant's also 'refusal'"
        ),
    ),
    (
        message(role="user", content="hi", tool_calls=[]),
        "messages[0].tool_calls",
        "Unrecognized request argument supplied: messages[0].tool_calls",
    ),
    (body(temprature=1), "temprature", "Unrecognized request argument supplied: temprature"),
    (
        body(catenary={"cache": {"mood": 1}}),
        "catenary.cache.mood",
        "Unrecognized request argument supplied: catenary.cache.mood",
    ),
    (body(temperature="0.5"), "temperature", "temperature: must be a number or null, not a string"),
    (body(n=1.5), "n", "n: must be a whole number or null, not a decimal number"),
    (body(n=-1), "n", "n: must be a whole number, at least 0"),
    (
        body(max_tokens=2**32),
        "max_tokens",
        "max_tokens: must be a whole number, at most 4294967295",
    ),
    (body(seed=2**63), "seed", "seed: must be a whole number, at most 9223372036854775807"),
    (
        body().replace(b"}]}", b'}],"top_p":1e999}'),
        "top_p",
        "top_p: must be a number that a double can hold",
    ),
    (body(stop=[1]), "stop[0]", "stop[0]: must be a string, not a whole number"),
    (body(logit_bias={"a": 1}), "logit_bias", "logit_bias: must be a whole number, not a string"),
    (body(stream="yes"), "stream", "stream: must be true or false or null, not a string"),
    (
        body(tool_choice="maybe"),
        "tool_choice",
        "tool_choice: must be 'none', 'auto', 'required', or an object that names a function",
    ),
    (
        body(tools=[{"type": "custom", "function": {"name": "f"}}]),
        "tools[0].type",
        "tools[0].type: must be 'function'",
    ),
    (
        body(response_format={"type": "xml"}),
        "response_format.type",
        "response_format.type: must be one of 'text', 'json_object', 'json_schema'",
    ),
    (body(modalities=["audio"]), "modalities[0]", "modalities[0]: must be 'text'"),
    (body(functions=[]), "functions", "functions: must be null, not a list"),
    (
        body(catenary={"cache": {"mode": "sometimes"}}),
        "catenary.cache.mode",
        "catenary.cache.mode: must be one of 'default', 'bypass', 'refresh', 'only_if_cached'",
    ),
]


@pytest.mark.parametrize(("data", "param", "text"), BAD, ids=[text[:60] for _, _, text in BAD])
def test_one_sentence_says_what_is_allowed(data: bytes, param: str | None, text: str) -> None:
    with pytest.raises(MeshError) as caught:
        decode(data)
    assert caught.value.reason == reasons.ERROR_REASON_INVALID_REQUEST
    assert json.loads(envelope(caught.value))["error"] == {
        "message": text,
        "type": "invalid_request_error",
        "param": param,
        "code": None,
    }


def test_a_name_that_the_caller_made_up_comes_back_cut() -> None:
    with pytest.raises(MeshError) as caught:
        decode(body(**{"x" * 1_000_000: 1}))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "ignored",
    [
        "metadata",
        "prediction",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "service_tier",
        "verbosity",
    ],
)
def test_a_field_without_effect_may_hold_anything(ignored: str) -> None:
    decode(body(**{ignored: {"any": ["thing"]}}))
