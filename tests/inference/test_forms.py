"""With a real engine in real Triton: forms that hold, calls that must come, answers continued."""

import asyncio
import json
from typing import Any

import pytest

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.errors import MeshError
from services.link import Link
from tests.inference.asking import Answer, ask, asking

NAMED = message_pb2.ToolChoice.MODE_NAMED
REQUIRED = message_pb2.ToolChoice.MODE_REQUIRED
TOOL_CALLS = message_pb2.FINISH_REASON_TOOL_CALLS
WEATHER = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"City": {"enum": ["Delft", "Leiden"]}},
}


def calling(mode: message_pb2.ToolChoice.Mode.ValueType, name: str = "") -> pb.GenerateRequest:
    request = asking("Is it raining?", temperature=0, max_output_tokens=300)
    request.tools.add(name="weather", parameters_schema=json.dumps(WEATHER), strict=True)
    request.tools.add(name="clock")
    request.tool_choice.mode = mode
    request.tool_choice.name = name
    return request


def calls(answer: Answer) -> list[tuple[str, Any]]:
    whole: dict[int, tuple[str, str]] = {}
    for delta in answer.deltas:
        for piece in delta.tool_calls:
            name, arguments = whole.get(piece.index, (piece.name, ""))
            whole[piece.index] = (name, arguments + piece.arguments)
    return [(name, json.loads(arguments)) for name, arguments in whole.values()]


async def test_the_tool_that_must_be_called_is_called_as_it_wants_to_be(link: Link) -> None:
    answer = await ask(link, calling(NAMED, "weather"))
    ((name, arguments),) = calls(answer)
    assert name == "weather"
    assert arguments["city"] in {"Delft", "Leiden"}
    assert answer.text() == ""
    assert answer.finished.choices[0].finish_reason == TOOL_CALLS


async def test_a_tool_without_arguments_can_be_called(link: Link) -> None:
    assert calls(await ask(link, calling(NAMED, "clock"))) == [("clock", {})]


async def test_one_of_the_tools_must_be_called(link: Link) -> None:
    request = calling(REQUIRED)
    request.parallel_tool_calls = False
    answer = await ask(link, request)
    ((name, arguments),) = calls(answer)
    assert name in {"weather", "clock"}
    assert bool(arguments) == (name == "weather")
    assert answer.text() == ""
    assert answer.finished.choices[0].finish_reason == TOOL_CALLS


async def test_each_choice_calls_for_itself(link: Link) -> None:
    request = calling(NAMED, "weather")
    request.sampling.n = 3
    answer = await ask(link, request)
    identities = set()
    for index in range(3):
        pieces = [p for d in answer.deltas if d.choice == index for p in d.tool_calls]
        assert json.loads("".join(piece.arguments for piece in pieces))["city"]
        identities.add(pieces[0].id)
    assert len(identities) == 3


async def test_a_schema_that_does_not_compile_is_told_by_its_name(link: Link) -> None:
    request = calling(NAMED, "weather")
    request.tools[0].parameters_schema = '{"properties": {"a": {"$ref": "#/nowhere"}}}'
    with pytest.raises(MeshError) as caught:
        await ask(link, request)
    assert caught.value.reason_name == "INVALID_REQUEST"
    assert caught.value.violations[0].field == "tools[0].parameters_schema"


async def test_tools_that_the_template_does_not_show_are_refused(link: Link) -> None:
    with pytest.raises(MeshError) as caught:
        await ask(link, calling(message_pb2.ToolChoice.MODE_AUTO))
    assert caught.value.reason_name == "UNSUPPORTED"
    assert caught.value.metadata["field"] == "tools"


async def test_any_json_object(link: Link) -> None:
    request = asking(temperature=0, max_output_tokens=400)
    request.response_format.json_object = True
    answer = await ask(link, request)
    assert answer.text().startswith("{")


async def test_an_answer_goes_on_wherever_it_was_cut(link: Link) -> None:
    whole = (await ask(link, asking(temperature=0))).text()
    places = range(1, len(whole), 5)

    async def rest(place: int) -> str:
        request = asking(temperature=0)
        request.continuation.text = whole[:place]
        return (await ask(link, request)).text()

    rests = await asyncio.gather(*map(rest, places))
    assert rests == [whole[place:] for place in places]


async def test_a_word_that_is_written_again_is_no_part_of_the_limit(link: Link) -> None:
    whole = (await ask(link, asking(temperature=0))).text()
    for place in range(1, min(40, len(whole)), 3):
        request = asking(temperature=0, max_output_tokens=6)
        request.continuation.text = whole[:place]
        answer = await ask(link, request)
        told = answer.finished.usage.output_tokens
        assert told == sum(delta.output_tokens for delta in answer.deltas)
        assert told == 6


async def test_a_continued_answer_keeps_to_the_limit_of_the_whole(link: Link) -> None:
    whole = await ask(link, asking(temperature=0, max_output_tokens=20))
    request = asking(temperature=0, max_output_tokens=20)
    request.continuation.text = "".join(delta.text for delta in whole.deltas[:1])
    request.continuation.output_tokens = sum(delta.output_tokens for delta in whole.deltas[:1])
    rest = await ask(link, request)
    assert request.continuation.text + rest.text() == whole.text()
    assert rest.finished.choices == whole.finished.choices
