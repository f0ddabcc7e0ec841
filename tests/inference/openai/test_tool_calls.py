"""Tool calls, in the many ways in which servers cut and number them."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import MeshError
from tests.fakes import LENGTH, TOOL_CALLS
from tests.inference.asking import Answer, ask, asking
from tests.inference.openai.conftest import Connect
from tests.inference.openai.server import FakeServer, chunk, said, stream


def calls(answer: Answer) -> list[tuple[int, str, str, str]]:
    """Put the tool calls of an answer together."""
    whole: dict[int, list[str]] = {}
    for delta in answer.deltas:
        for part in delta.tool_calls:
            if part.index not in whole:
                whole[part.index] = [part.id, part.name, ""]
            else:
                assert not part.id
                assert not part.name
            whole[part.index][2] += part.arguments
    return [(index, *parts) for index, parts in sorted(whole.items())]  # type: ignore[misc]


def call(index: int | None = 0, **given: Any) -> dict[str, Any]:
    """Return a chunk with a part of a tool call."""
    number = {} if index is None else {"index": index}
    names = {key: given[key] for key in ("id",) if key in given}
    function = {key: given[key] for key in ("name", "arguments") if key in given}
    return chunk({"tool_calls": [number | names | {"function": function}]})


async def test_tool_calls_in_pieces(server: FakeServer, connect: Connect) -> None:
    server.will(
        *stream(
            call(0, id="a1", name="now", arguments=""),
            call(0, arguments='{"zone"'),
            call(0, arguments=': "UTC"}'),
            call(1, id="b2", name="then", arguments="{}"),
            chunk({}, "tool_calls"),
        )
    )
    answer = await ask(connect(), asking())
    assert calls(answer) == [(0, "a1", "now", '{"zone": "UTC"}'), (1, "b2", "then", "{}")]
    assert answer.finished.choices[0].finish_reason == TOOL_CALLS


@pytest.mark.parametrize(
    "parts",
    [
        # Whole calls, all with the number 0, as Ollama did.
        [call(0, id="a", name="f", arguments="{}"), call(0, id="b", name="g", arguments="{}")],
        # No numbers.
        [call(None, id="a", name="f", arguments="{"), call(None, arguments="}"),
         call(None, id="b", name="g", arguments="{}")],
        # Id and name repeated with each part.
        [call(0, id="a", name="f", arguments="{"), call(0, id="a", name="f", arguments="}"),
         call(1, id="b", name="g", arguments="{}")],
        # The name comes after the id.
        [call(0, id="a"), call(0, arguments="{"), call(0, name="f", arguments="}"),
         call(1, id="b", name="g", arguments="{}")],
        # Numbers that begin anywhere.
        [call(7, id="a", name="f", arguments="{}"), call(3, id="b", name="g", arguments="{}")],
        # Arguments as a value.
        [call(0, id="a", name="f", arguments={}), call(1, id="b", name="g", arguments={})],
    ],
)  # fmt: skip
async def test_tool_calls_however_they_are_numbered(
    server: FakeServer, connect: Connect, parts: list[Any]
) -> None:
    server.will(*stream(*parts, chunk({}, "tool_calls")))
    answer = await ask(connect(), asking())
    assert calls(answer) == [(0, "a", "f", "{}"), (1, "b", "g", "{}")]


async def test_tgis_one_call_without_a_list_and_the_old_function_call(
    server: FakeServer, connect: Connect
) -> None:
    function = {"name": "f", "arguments": "{}"}
    server.will(
        *stream(chunk({"tool_calls": {"index": 0, "id": "", "function": function}}, "stop"))
    )
    server.will(*stream(chunk({"function_call": function}, "function_call")))
    for _ in range(2):
        answer = await ask(connect("tgi"), asking())
        ((index, name_id, name, arguments),) = calls(answer)
        assert (index, name, arguments) == (0, "f", "{}")
        assert name_id.startswith("call_")
        assert answer.finished.choices[0].finish_reason == TOOL_CALLS


@pytest.mark.parametrize(
    "parts",
    [
        [call(0, id="a", arguments="{}")],
        [call(index, id=f"c{index}", name="f", arguments="{}") for index in range(129)],
        [
            call(0, id="a", name="f", arguments='"'),
            call(0, arguments="x" * 1024 * 1024),
            call(0, arguments='"'),
        ],
    ],
    ids=["no name", "too many", "too long"],
)
async def test_tool_calls_that_are_none_are_an_error(
    server: FakeServer, connect: Connect, parts: list[Any]
) -> None:
    server.will(*stream(*parts, chunk({}, "tool_calls")))
    server.will(*said("next"))
    backend = connect()
    with pytest.raises(MeshError) as raised:
        await ask(backend, asking())
    assert raised.value.reason_name == "UPSTREAM_FAILED"
    assert (await ask(backend, asking())).text() == "next"


@pytest.mark.parametrize("arguments", ["{not json", "[]", '"text"', "{}{}", "{}\ud83d", "[" * 9000])
async def test_a_call_with_arguments_that_are_no_object_is_an_error_of_its_own(
    server: FakeServer, connect: Connect, caplog: pytest.LogCaptureFixture, arguments: str
) -> None:
    first = call(0, id="a", name="f", arguments=arguments)
    server.will(*stream(first, chunk({}, "tool_calls")))
    # The limit cuts the last call only.
    second = call(1, id="b", name="g", arguments='{"z')
    server.will(*stream(first, second, chunk({}, "length")))
    server.will(*said("next"))
    backend = connect()
    for _ in range(2):
        with pytest.raises(MeshError) as raised:
            await ask(backend, asking())
        assert raised.value.reason_name == "MALFORMED_TOOL_CALL"
        assert raised.value.metadata == {"tool": "f"}
        assert arguments not in raised.value.message
    assert [record.__dict__["reason"] for record in caplog.records] == ["MALFORMED_TOOL_CALL"] * 2
    assert (await ask(backend, asking())).text() == "next"


@pytest.mark.parametrize("pieces", [[""], [None], [], ["", ""], [" ", "\n"]])
async def test_no_arguments_are_an_empty_object(
    server: FakeServer, connect: Connect, pieces: list[Any]
) -> None:
    bare = call(0, id="a", name="f")
    server.will(
        *stream(
            bare,
            *(call(0, arguments=piece) for piece in pieces),
            call(1, id="b", name="g", arguments=pieces[0] if pieces else None),
            call(2, id="c", name="h", arguments='{"z": null}'),
            chunk({}, "tool_calls"),
        )
    )
    parts = [(name, json.loads(text)) for _, _, name, text in calls(await ask(connect(), asking()))]
    assert parts == [("f", {}), ("g", {}), ("h", {"z": None})]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arguments=st.sampled_from(['{"zone": UTC}', "{}{}", '["UTC"]', "nullnull", '{"zone": "UTC"']),
    places=st.lists(st.integers(0, 14), max_size=4),
)
async def test_arguments_that_are_no_object_are_an_error_however_they_are_cut(
    server: FakeServer, connect: Connect, arguments: str, places: list[int]
) -> None:
    borders = [0, *sorted(places), len(arguments)]
    pieces = [arguments[a:b] for a, b in itertools.pairwise(borders)]
    parts = (call(0, arguments=piece) for piece in pieces)
    server.scripts.clear()
    server.will(*stream(call(0, id="a", name="f"), *parts, chunk({}, "tool_calls")))
    with pytest.raises(MeshError) as raised:
        await ask(connect(), asking())
    assert raised.value.reason_name == "MALFORMED_TOOL_CALL"
    assert raised.value.metadata == {"tool": "f"}


async def test_a_call_without_arguments_that_the_limit_cut_short_may_have_had_some(
    server: FakeServer, connect: Connect
) -> None:
    server.will(*stream(call(0, id="a", name="f", arguments=""), chunk({}, "length")))
    assert calls(await ask(connect(), asking())) == [(0, "a", "f", "")]


async def test_a_call_that_the_limit_cut_short_is_given_as_it_is(
    server: FakeServer, connect: Connect
) -> None:
    server.will(*stream(call(0, id="a", name="f", arguments='{"z'), chunk({}, "length")))
    answer = await ask(connect(), asking())
    assert calls(answer) == [(0, "a", "f", '{"z')]
    assert answer.finished.choices[0].finish_reason == LENGTH
