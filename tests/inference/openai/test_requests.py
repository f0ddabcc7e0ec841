"""What servers are asked, each in its own dialect."""

import json
from pathlib import Path
from typing import Any

import protovalidate
import pytest

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.errors import MeshError
from services.inference.features import Feature, asked
from services.inference.openai import dialect
from services.inference.openai.chat import chat
from services.inference.openai.dialect import DIALECTS
from services.link import Call
from tests.inference.asking import ask, asking
from tests.inference.openai.conftest import Connect
from tests.inference.openai.server import FakeServer, said

SCHEMA = {"type": "object"}
NAMED = message_pb2.ToolChoice.MODE_NAMED
REQUIRED = message_pb2.ToolChoice.MODE_REQUIRED
NONE = message_pb2.ToolChoice.MODE_NONE


def body(request: pb.GenerateRequest, kind: str = "openai") -> dict[str, Any]:
    return chat(request, "theirs", DIALECTS[kind])


def refused(request: pb.GenerateRequest, kind: str = "openai") -> MeshError:
    with pytest.raises(MeshError) as raised:
        body(request, kind)
    return raised.value


def with_tools(mode: message_pb2.ToolChoice.Mode.ValueType) -> pb.GenerateRequest:
    request = asking()
    request.tools.add(name="f", description="does f", parameters_schema=json.dumps(SCHEMA))
    request.tools.add(name="g", strict=True)
    request.tool_choice.mode = mode
    request.tool_choice.name = "g" if mode == NAMED else ""
    return request


def test_every_kind_that_may_be_configured_has_a_dialect() -> None:
    for kind in DIALECTS:
        protovalidate.validate(config_pb.OpenAiTarget(base_url="http://h", kind=kind))
    with pytest.raises(protovalidate.ValidationError) as raised:
        protovalidate.validate(config_pb.OpenAiTarget(base_url="http://h", kind="none such"))
    kinds = set(raised.value.violations[0].proto.message.partition("[")[2].rstrip("]").split(", "))
    assert {kind.strip('"') for kind in kinds} - {""} == set(DIALECTS)


def test_a_plain_request() -> None:
    assert body(asking("Hi")) == {
        "model": "theirs",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_numbers_are_what_the_caller_wrote() -> None:
    sampling: dict[str, Any] = {"temperature": 0.7, "top_p": 0.1, "presence_penalty": -1.1, "n": 2}
    given = body(asking(**sampling, logit_bias={7: -0.3}))
    assert sampling.items() <= given.items()
    assert given["logit_bias"] == {"7": -0.3}


EVERYTHING: dict[str, Any] = {
    "max_output_tokens": 9,
    "seed": 2**64 - 1,
    "stop": ["END"],
    "top_k": 0,
    "min_p": 0.5,
    "repetition_penalty": 1.5,
    "min_output_tokens": 2,
    "logprobs": 0,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.25,
}
SAMPLED: dict[str, dict[str, Any]] = {
    "openai": {"max_completion_tokens": 9, "seed": 2**63 - 1, "stop": ["END"], "logprobs": True,
               "top_logprobs": 0, "frequency_penalty": 0.5, "presence_penalty": 0.25},
    "compatible": {"max_tokens": 9, "seed": 2**63 - 1, "stop": ["END"], "logprobs": True,
                   "top_logprobs": 0, "frequency_penalty": 0.5, "presence_penalty": 0.25},
    "vllm": {"max_tokens": 9, "seed": 2**63 - 1, "stop": ["END"], "top_k": -1, "min_p": 0.5,
             "repetition_penalty": 1.5, "min_tokens": 2, "logprobs": True, "top_logprobs": 0,
             "frequency_penalty": 0.5, "presence_penalty": 0.25},
    "sglang": {"max_tokens": 9, "seed": 2**63 - 1, "stop": ["END"], "top_k": -1, "min_p": 0.5,
               "repetition_penalty": 1.5, "min_tokens": 2, "logprobs": True, "top_logprobs": 0,
               "frequency_penalty": 0.5, "presence_penalty": 0.25},
    "tgi": {"max_tokens": 9, "seed": 2**63 - 1, "stop": ["END"], "logprobs": True,
            "top_logprobs": 0, "frequency_penalty": 0.5},
    "llama_cpp": {"max_tokens": 9, "seed": 0, "stop": ["END"], "top_k": -1, "min_p": 0.5,
                  "repeat_penalty": 1.5, "logprobs": True, "top_logprobs": 1,
                  "frequency_penalty": 0.5, "presence_penalty": 0.25},
    "ollama": {"max_tokens": 9, "seed": 2**63 - 1, "stop": ["END"], "logprobs": True,
               "top_logprobs": 0, "frequency_penalty": 0.5, "presence_penalty": 0.25},
    "openvino": {"max_tokens": 9, "seed": 2**63 - 1, "stop": ["END"], "top_k": -1,
                 "repetition_penalty": 1.5, "frequency_penalty": 0.5, "presence_penalty": 0.25},
    "transformers": {"max_tokens": 9, "seed": 2**63 - 1, "stop": ["END"]},
}  # fmt: skip


@pytest.mark.parametrize("kind", DIALECTS)
def test_sampling_and_what_is_refused_of_it(kind: str) -> None:
    refusals = DIALECTS[kind].refusals
    request = asking()
    for name, value in EVERYTHING.items():
        if f"sampling.{name}" in refusals:
            error = refused(asking(**{name: value}), kind)
            assert (error.reason_name, error.violations[0].field) == (
                "UNSUPPORTED",
                f"sampling.{name}",
            )
        else:
            request.sampling.MergeFrom(message_pb2.Sampling(**{name: value}))
    given = body(request, kind)
    plain = body(asking(), kind)
    assert {name: value for name, value in given.items() if name not in plain} == SAMPLED[kind]


def test_a_top_p_of_1_which_changes_nothing_is_rejected_by_tgi() -> None:
    assert "top_p" not in body(asking(top_p=1), "tgi")
    assert body(asking(top_p=0.5), "tgi")["top_p"] == 0.5
    assert body(asking(top_p=1), "vllm")["top_p"] == 1


def test_a_seed_of_llama_cpps_never_means_none() -> None:
    assert body(asking(seed=2**32 - 1), "llama_cpp")["seed"] == 0
    assert body(asking(seed=7), "llama_cpp")["seed"] == 7


FORMATS: dict[tuple[str, str], dict[str, Any] | None] = {
    ("openai", "json_object"): {"response_format": {"type": "json_object"}},
    ("openvino", "json_object"): {
        "response_format": {
            "type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA},
        }
    },
    ("tgi", "json_object"): {"response_format": {"type": "json", "value": SCHEMA}},
    ("openai", "json_schema"): {
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "n", "description": "d", "schema": {"type": "array"}, "strict": True,
            },
        }
    },
    ("tgi", "json_schema"): {"response_format": {"type": "json", "value": {"type": "array"}}},
    ("transformers", "json_schema"): None,
    ("openai", "regex"): None,
    ("llama_cpp", "regex"): None,
    ("vllm", "regex"): {"structured_outputs": {"regex": "a+"}},
    ("sglang", "regex"): {"regex": "a+"},
    ("tgi", "regex"): {"response_format": {"type": "regex", "value": "a+"}},
}  # fmt: skip


@pytest.mark.parametrize(("kind", "form"), FORMATS)
def test_forms(kind: str, form: str) -> None:
    request, expected = asking(), FORMATS[kind, form]
    if form == "json_schema":
        wanted = request.response_format.json_schema
        wanted.name, wanted.description, wanted.strict = "n", "d", True
        wanted.schema = '{"type": "array"}'
    elif form == "json_object":
        request.response_format.json_object = True
    else:
        request.response_format.regex = "a+"
    if expected is None:
        assert refused(request, kind).violations[0].field == f"response_format.{form}"
    else:
        plain = body(asking(), kind)
        assert {k: v for k, v in body(request, kind).items() if k not in plain} == expected


def test_json_that_is_none_is_refused() -> None:
    request = asking()
    request.response_format.json_schema.schema = "{no"
    assert refused(request).violations[0].field == "response_format.json_schema.schema"
    request = with_tools(REQUIRED)
    request.tools[1].parameters_schema = "{no"
    assert refused(request).violations[0].field == "tools[1].parameters_schema"


def test_tools() -> None:
    given = body(with_tools(REQUIRED))
    f = {"name": "f", "description": "does f", "parameters": SCHEMA}
    g = {"name": "g", "parameters": {"type": "object", "properties": {}}, "strict": True}
    assert given["tools"] == [{"type": "function", "function": each} for each in (f, g)]
    assert given["tool_choice"] == "required"
    assert "parallel_tool_calls" not in given
    auto = body(with_tools(message_pb2.ToolChoice.MODE_AUTO))
    assert "tool_choice" not in auto
    assert "tools" not in body(with_tools(NONE))


def test_a_named_tool() -> None:
    choice = {"type": "function", "function": {"name": "g"}}
    assert body(with_tools(NAMED))["tool_choice"] == choice
    alone = body(with_tools(NAMED), "llama_cpp")
    assert [tool["function"]["name"] for tool in alone["tools"]] == ["g"]
    assert alone["tool_choice"] == "required"
    assert alone["parallel_tool_calls"] is False
    assert refused(with_tools(NAMED), "ollama").violations[0].field == "tool_choice"


def test_one_call_at_a_time() -> None:
    request = with_tools(message_pb2.ToolChoice.MODE_AUTO)
    request.parallel_tool_calls = False
    assert Feature.SINGLE_TOOL_CALL in set(asked(request))
    assert body(request)["parallel_tool_calls"] is False
    for kind in ("tgi", "sglang", "ollama"):
        assert refused(request, kind).violations[0].field == "parallel_tool_calls"


@pytest.mark.parametrize("kind", DIALECTS)
def test_strict_tools_go_only_where_they_are_held_to(kind: str) -> None:
    request = with_tools(message_pb2.ToolChoice.MODE_AUTO)
    if kind in ("ollama", "openvino", "transformers"):
        assert refused(request, kind).violations[0].field == "tools[].strict"
    else:
        assert body(request, kind)["tools"][1]["function"]["strict"] is True


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("vllm", {"continue_final_message": True, "add_generation_prompt": False}),
        ("sglang", {"continue_final_message": True}),
        ("llama_cpp", {}),
    ],
)
def test_a_continuation(kind: str, more: dict[str, Any]) -> None:
    request = asking(max_output_tokens=10)
    request.continuation.text = "Once upon"
    request.continuation.output_tokens = 4
    given = body(request, kind)
    assert given["messages"][-1] == {"role": "assistant", "content": "Once upon"}
    assert given["max_tokens"] == 6
    plain = body(asking(max_output_tokens=10), kind)
    assert {name: given[name] for name in given if name not in plain} == more


def test_a_continuation_that_cannot_be() -> None:
    request = asking(max_output_tokens=4)
    request.continuation.text = "Once upon"
    assert refused(request, "openai").violations[0].field == "continuation"
    request.continuation.output_tokens = 4
    assert refused(request, "vllm").violations[0].field == "continuation.output_tokens"
    several = asking(n=2)
    several.continuation.text = "Once"
    assert refused(several, "vllm").violations[0].field == "sampling.n"
    thought = asking()
    thought.continuation.reasoning = "Hm"
    assert refused(thought, "vllm").violations[0].field == "continuation.reasoning"


async def test_what_is_refused_costs_the_server_nothing(
    server: FakeServer, connect: Connect
) -> None:
    with pytest.raises(MeshError):
        await ask(connect(), asking(top_k=3))
    assert not server.connections


async def test_what_travels_beside_the_body(server: FakeServer, connect: Connect) -> None:
    server.will(*said("a"))
    trace = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "tracestate": "a=b"}
    backend = connect(base_url=server.url + "/", headers={"x-version": "7"})
    await ask(backend, asking(), Call("r7", trace=trace))
    (exchange,) = server.exchanges
    assert exchange.path == "/v1/chat/completions"
    assert exchange.body["model"] == "theirs"
    sent = exchange.headers
    assert trace.items() <= sent.items()
    assert (sent["x-request-id"], sent["x-version"]) == ("r7", "7")
    assert sent["accept-encoding"] == "identity"
    assert "authorization" not in sent


COLUMNS = {
    "`top_k`": Feature.TOP_K,
    "`min_p`": Feature.MIN_P,
    "`n`": Feature.CHOICES,
    "logprobs": Feature.LOGPROBS,
    "JSON Schema": Feature.JSON_SCHEMA,
    "regex": Feature.REGEX,
    "forced tools": Feature.FORCED_TOOLS,
    "continuation": Feature.CONTINUATION,
}


def test_the_manual_page_tells_what_each_kind_can_do() -> None:
    page = Path(dialect.__file__).with_name("README.md").read_text(encoding="utf-8")
    table = page.partition("## What each kind can do")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    told = {
        kind.strip("` "): dict(zip(rows[0], row, strict=True))
        for row in rows[2:]
        for kind in row[0].split(",")
    }
    assert told.keys() == DIALECTS.keys()
    for kind, cells in told.items():
        given = DIALECTS[kind]
        for name, feature in COLUMNS.items():
            assert (cells[name] == "✓") == (feature not in given.refusals), (kind, name)
        assert (cells["counting"] == "✓") == (given.counting is not None)
        assert (cells["embeddings"] == "✓") == given.has_embeddings
