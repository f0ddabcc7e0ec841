"""What a body means in the mesh's contract."""

import json
from typing import Any

import pytest
from google.protobuf import text_format

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services import errors
from services.errors import MeshError
from services.gateway.openai.decode import decode
from services.gateway.openai.params import renamed
from services.gateway.openai.request import to_request
from services.gateway.validation import check_generate
from tests.gateway.bodies import CONVERSATION, body, message


def request_of(data: bytes) -> pb.GenerateRequest:
    return to_request(decode(data))


def test_a_conversation() -> None:
    messages = request_of(body(messages=CONVERSATION)).messages
    expected = pb.GenerateRequest()
    text_format.Parse(
        """
        messages { role: ROLE_SYSTEM content { text: "Be brief." } }
        messages { role: ROLE_SYSTEM content { text: "Be kind." } }
        messages {
          role: ROLE_USER name: "ann"
          content { text: "What is this?" }
          content { media { url: "https://x.test/a.png" detail: "low" } }
        }
        messages {
          role: ROLE_ASSISTANT
          content { reasoning: "Hm." }
          tool_calls { id: "c1" name: "look" arguments: "{}" }
        }
        messages { role: ROLE_TOOL tool_call_id: "c1" }
        messages {
          role: ROLE_ASSISTANT content { text: "A cat." } content { refusal: "No more." }
        }
        """,
        expected,
    )
    assert list(messages) == list(expected.messages)


def test_all_tokens_are_meant_by_a_top_k_of_minus_one() -> None:
    sampling = request_of(body(top_k=-1)).sampling
    assert sampling.HasField("top_k")
    assert sampling.top_k == 0


def test_sampling() -> None:
    sampling = request_of(
        body(
            max_completion_tokens=7,
            temperature=0.5,
            top_p=0.25,
            top_k=3,
            min_p=0.125,
            presence_penalty=-1,
            frequency_penalty=1,
            repetition_penalty=1.5,
            seed=-1,
            stop="END",
            logprobs=True,
            top_logprobs=2,
            n=2,
            logit_bias={"50": -100},
            min_tokens=1,
        )
    ).sampling
    assert sampling == message_pb2.Sampling(
        max_output_tokens=7,
        temperature=0.5,
        top_p=0.25,
        top_k=3,
        min_p=0.125,
        presence_penalty=-1,
        frequency_penalty=1,
        repetition_penalty=1.5,
        seed=2**64 - 1,
        stop=["END"],
        logprobs=2,
        n=2,
        logit_bias={50: -100},
        min_output_tokens=1,
    )


def test_what_is_not_said_is_not_set() -> None:
    request = request_of(body(temperature=None, n=None, stop=None, tools=None, tool_choice=None))
    assert request.sampling == message_pb2.Sampling()
    assert not request.HasField("tool_choice")
    assert not request.HasField("response_format")
    assert not request.HasField("parallel_tool_calls")


def test_logprobs_without_rivals() -> None:
    assert request_of(body(logprobs=True)).sampling.logprobs == 0
    assert request_of(body(logprobs=True)).sampling.HasField("logprobs")
    assert not request_of(body(logprobs=False)).sampling.HasField("logprobs")


def test_tools() -> None:
    parameters = {"type": "object", "properties": {}}
    function = {"name": "look", "description": "Looks.", "parameters": parameters, "strict": True}
    request = request_of(
        body(
            tools=[{"type": "function", "function": function}],
            tool_choice={"type": "function", "function": {"name": "look"}},
            parallel_tool_calls=False,
        )
    )
    assert json.loads(request.tools[0].parameters_schema) == parameters
    assert request.tools[0].name == "look"
    assert request.tools[0].description == "Looks."
    assert request.tools[0].strict
    assert request.tool_choice.mode == message_pb2.ToolChoice.MODE_NAMED
    assert request.tool_choice.name == "look"
    assert request.HasField("parallel_tool_calls")
    check_generate(request)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_format": {"type": "text"}}, ""),
        ({"response_format": {"type": "json_object"}}, "json_object: true"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "s", "schema": {}, "strict": True},
                }
            },
            'json_schema { name: "s" schema: "{}" strict: true }',
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}},
            'json_schema { name: "s" schema: "{}" }',
        ),
        ({"guided_regex": "[ab]+"}, 'regex: "[ab]+"'),
    ],
)
def test_response_format(fields: dict[str, Any], expected: str) -> None:
    parsed = text_format.Parse(expected, message_pb2.ResponseFormat())
    assert request_of(body(**fields)).response_format == parsed


def test_what_is_asked_of_the_links() -> None:
    controls = request_of(
        body(
            prompt_cache_key="other",
            catenary={
                "cache": {"mode": "refresh", "max_age_s": 60, "error_bound": 0.5, "paced": True},
                "safety_profile": "strict",
                "routing": {"prefer_backends": ["a"], "session": "s", "policy": "cost"},
                "priority": 0,
                "include_decisions": True,
            },
        )
    ).controls
    assert controls == pb.Controls(
        cache=pb.CacheControl(
            mode=pb.CacheControl.MODE_REFRESH, max_age_s=60, error_bound=0.5, paced=True
        ),
        safety_profile="strict",
        routing=pb.RoutingHints(prefer_backends=["a"], session="s", policy="cost"),
        priority=0,
        include_decisions=True,
    )


def test_who_asks_and_with_which_prefix() -> None:
    request = request_of(body(user="u", safety_identifier="i", prompt_cache_key="k"))
    assert request.end_user == "i"
    assert request.controls.routing.session == "k"
    assert request_of(body(user="u")).end_user == "u"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"guided_regex": "a", "response_format": {"type": "text"}}, "guided_regex"),
        ({"store": True}, "store"),
        (
            {"stream": True, "stream_options": {"include_obfuscation": True}},
            "stream_options.include_obfuscation",
        ),
    ],
)
def test_what_would_not_be_done_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(MeshError) as caught:
        request_of(body(**fields))
    assert caught.value.violations[0].field == param


BROKEN: list[tuple[bytes, str]] = [
    (body(temperature=3), "temperature"),
    (body(n=0), "n"),
    (body(top_k=2**31), "top_k"),
    (body(max_tokens=0), "max_tokens"),
    (body(max_completion_tokens=0), "max_completion_tokens"),
    (body(logprobs=True, top_logprobs=21), "top_logprobs"),
    (body(min_tokens=5, max_tokens=2), "min_tokens"),
    (body(stop=["a"] * 17), "stop"),
    (body(stop=["a", ""]), "stop[1]"),
    (body(logit_bias={"5": 200}), "logit_bias[5]"),
    (body(model="m" * 300), "model"),
    (body(messages=[]), "messages"),
    (message(role="user", content=""), "messages[0].content"),
    (message(role="user", content=[]), "messages[0].content"),
    (message(role="user", content=[{"type": "text", "text": ""}]), "messages[0].content[0].text"),
    (
        message(role="user", content=[{"type": "image_url", "image_url": {"url": "x"}}]),
        "messages[0].content[0].image_url.url",
    ),
    (
        message(
            role="assistant", reasoning_content="r", content=[{"type": "refusal", "refusal": ""}]
        ),
        "messages[0].content[0].refusal",
    ),
    (message(role="tool", content="", tool_call_id=""), "messages[0].tool_call_id"),
    (
        message(
            role="assistant",
            tool_calls=[{"id": "c", "function": {"name": "no spaces", "arguments": ""}}],
        ),
        "messages[0].tool_calls[0].function.name",
    ),
    (body(tools=[{"function": {"name": ""}}]), "tools[0].function.name"),
    (
        body(tools=[{"function": {"name": "f", "parameters": [1]}}]),
        "tools[0].function.parameters",
    ),
    (body(tool_choice="required"), "tool_choice"),
    (body(tool_choice={"function": {"name": "f"}}), "tool_choice.function.name"),
    (body(guided_regex=""), "guided_regex"),
    (
        body(response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": 1}}),
        "response_format.json_schema.schema",
    ),
    (body(user="u" * 300), "user"),
    (body(safety_identifier="u" * 300), "safety_identifier"),
    (body(prompt_cache_key="k" * 300), "prompt_cache_key"),
    (body(catenary={"routing": {"session": "k" * 300}}), "catenary.routing.session"),
    (body(catenary={"priority": 10}), "catenary.priority"),
    (body(catenary={"cache": {"error_bound": 2}}), "catenary.cache.error_bound"),
]


@pytest.mark.parametrize(("data", "param"), BROKEN, ids=[param for _, param in BROKEN])
def test_a_broken_rule_is_told_in_the_words_of_the_body(data: bytes, param: str) -> None:
    chat = decode(data)
    with pytest.raises(MeshError) as caught:
        check_generate(to_request(chat))
    error = renamed(caught.value, chat)
    assert error.violations[0].field == param
    assert error.metadata == {"field": param}
    assert str(error).startswith(f"{param}: ")
    assert "output_tokens" not in str(error)


def test_errors_of_links_behind_are_renamed_too() -> None:
    chat = decode(body(max_tokens=9, logit_bias={"1": 1}))
    unsupported = renamed(errors.unsupported("sampling.logit_bias", "pocket", "is unknown"), chat)
    assert str(unsupported) == "logit_bias: is unknown"
    assert unsupported.metadata == {"field": "logit_bias", "model": "pocket"}
    too_long = renamed(errors.context_window_exceeded(1000, 9, 1005), chat)
    assert "output_tokens" not in str(too_long)
    assert too_long.violations[0].field == "messages"
    full = errors.queue_full("pocket", 1)
    assert renamed(full, chat) is full
