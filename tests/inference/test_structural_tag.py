"""Strict tools that the model is free to call: its calls keep to their schemas."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.errors import MeshError
from services.inference import Inference
from services.inference.formats import TOOL_READINGS, ToolFormat
from services.inference.prompted import PromptedBackend
from services.inference.schema.hold import hold
from services.inference.structural_tag import structural_tag
from tests.inference.asking import ask, asking, generated
from tests.inference.parsing.reading import shown
from tests.inference.scripted import backend, said
from tests.inference.templates import QWEN

FORMATS = [ToolFormat.HERMES, ToolFormat.LLAMA3, ToolFormat.MISTRAL]
ANY = {"type": "object", "additionalProperties": True}
WEATHER = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"City": {"enum": ["Delft", "Leiden"]}},
}
HELD = hold(copy.deepcopy(WEATHER), "tools", is_strict=True)
ARGUMENTS = {"city": "Delft"}


def strict() -> pb.GenerateRequest:
    request = asking("Is it raining?")
    request.tools.add(name="weather", parameters_schema=json.dumps(WEATHER), strict=True)
    request.tools.add(name="clock", parameters_schema='{"type": "object", "required": ["zone"]}')
    return request


def calls(request: pb.GenerateRequest, tool_format: ToolFormat) -> dict[str, Any]:
    tag = structural_tag(request, tool_format)
    assert tag is not None
    read = json.loads(tag)
    assert read["type"] == "structural_tag"
    calls: dict[str, Any] = read["format"]
    assert calls["type"] == "triggered_tags"
    return calls


@pytest.mark.parametrize("tool_format", FORMATS)
def test_every_tag_begins_with_a_trigger(tool_format: ToolFormat) -> None:
    held = calls(strict(), tool_format)
    for tag in held["tags"]:
        assert [each for each in held["triggers"] if tag["begin"].startswith(each)]


@pytest.mark.parametrize("tool_format", FORMATS)
def test_what_the_tags_let_through_is_read_as_calls(tool_format: ToolFormat) -> None:
    names = set()
    for tag in calls(strict(), tool_format)["tags"]:
        schema, begin = tag["content"]["json_schema"], tag["begin"]
        name = "weather" if '"weather"' in begin or "]weather[" in begin else "clock"
        content: Any = ARGUMENTS if name == "weather" else {"a": 1}
        expected = [(name, content)]
        if schema["type"] == "array":
            content = [{"name": name, "arguments": content}]
        brace = "{" if begin.startswith('"') else ""
        text = shown(
            lambda source: TOOL_READINGS[tool_format](source, {"weather", "clock"}),
            brace + begin + json.dumps(content) + tag["end"],
        )
        assert [(name, json.loads(arguments)) for name, arguments in text.calls] == expected
        assert text.text == ""
        names.add(name)
    assert names == {"weather", "clock"}


@pytest.mark.parametrize("tool_format", FORMATS)
def test_a_tool_that_is_not_strict_takes_any_object(tool_format: ToolFormat) -> None:
    for tag in calls(strict(), tool_format)["tags"]:
        schema = tag["content"]["json_schema"]
        if schema["type"] == "array":
            assert schema["$defs"]["clock"] == ANY
            assert schema["$defs"]["weather"]["required"] == ["city"]
        else:
            assert schema == (HELD if "weather" in tag["begin"] else ANY)


def test_one_call_is_one_element_of_an_array() -> None:
    request = strict()
    request.parallel_tool_calls = False
    first, *_ = calls(request, ToolFormat.MISTRAL)["tags"]
    assert first["content"]["json_schema"]["maxItems"] == 1


def test_nothing_is_held_without_strict_tools_or_where_a_schema_holds_all() -> None:
    free = strict()
    free.tools[0].strict = False
    assert structural_tag(free, ToolFormat.HERMES) is None
    for mode in (message_pb2.ToolChoice.MODE_NONE, message_pb2.ToolChoice.MODE_REQUIRED):
        request = strict()
        request.tool_choice.mode = mode
        assert structural_tag(request, ToolFormat.HERMES) is None


async def test_the_engine_is_given_the_tag(tmp_path: Path) -> None:
    link, engine = backend(tmp_path, QWEN, said("No."))
    await ask(link, strict())
    asked = engine.requests[0].generation
    assert asked.structural_tag == structural_tag(strict(), ToolFormat.HERMES)
    assert asked.json_schema is None
    assert asked.regex is None


async def test_a_continued_answer_begins_with_its_last_word_and_may_call(tmp_path: Path) -> None:
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Delft"}}\n</tool_call>'
    link, engine = backend(tmp_path, QWEN, said(" look", " out.\n", call))
    request = strict()
    request.continuation.text = "Let me look"
    answer = await ask(link, request)
    asked = engine.requests[0].generation
    assert asked.regex is None
    echo, held = json.loads(asked.structural_tag or "")["format"]["elements"]
    assert echo == {"type": "const_string", "value": " look"}
    assert held == calls(strict(), ToolFormat.HERMES)
    assert answer.text() == " out.\n"
    assert [piece.name for delta in answer.deltas for piece in delta.tool_calls][:1] == ["weather"]


def pocket(link: Inference) -> PromptedBackend:
    served = link.models["pocket"]
    assert isinstance(served, PromptedBackend)
    return served


@pytest.mark.parametrize("tool_format", FORMATS)
async def test_the_engine_takes_each_tag_and_keeps_to_it(
    link: Inference, tool_format: ToolFormat
) -> None:
    request = strict()
    request.parallel_tool_calls = False
    # The pocket model begins no call by itself, so each tag is put where it has to.
    for tag in calls(request, tool_format)["tags"]:
        if "clock" in tag["begin"]:
            continue
        arguments: Any = [{"city": city} for city in ("Delft", "Leiden")]
        if tag["content"]["json_schema"]["type"] == "array":
            del tag["content"]["json_schema"]["items"]["anyOf"][1]
            arguments = [[{"name": "weather", "arguments": each}] for each in arguments]
        only = json.dumps({"type": "structural_tag", "format": tag})
        text = await generated(pocket(link), only)
        assert text.startswith(tag["begin"])
        # A model as small may go on for ever with white space between the tokens of JSON.
        dense = "".join(text.split())
        whole = ["".join((tag["begin"] + json.dumps(a) + tag["end"]).split()) for a in arguments]
        assert any(each.startswith(dense) for each in whole)
        assert len(dense) > len("".join(tag["begin"].split()))


async def test_a_tag_that_does_not_compile_is_told_and_harms_nobody(link: Inference) -> None:
    broken = {"type": "structural_tag", "format": {"type": "json_schema", "json_schema": False}}
    with pytest.raises(MeshError) as caught:
        await generated(pocket(link), json.dumps(broken))
    assert caught.value.reason_name == "INVALID_REQUEST"
    assert caught.value.violations[0].field == "tools"
    assert (await ask(link, asking(max_output_tokens=5))).text()


@pytest.mark.parametrize("tool_format", FORMATS)
def test_strict_tools_are_refused_for_what_no_guide_holds_to(tool_format: ToolFormat) -> None:
    request = strict()
    count = {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 5}}}
    request.tools[0].parameters_schema = json.dumps(count)
    with pytest.raises(MeshError) as caught:
        structural_tag(request, tool_format)
    (violation,) = caught.value.violations
    assert violation.field == "tools[0].parameters_schema"
    assert violation.description.startswith("/properties/n/multipleOf ")
    request.tools[0].strict = False
    request.tools[1].strict = True
    request.tools[1].parameters_schema = json.dumps(WEATHER)
    assert structural_tag(request, tool_format)
