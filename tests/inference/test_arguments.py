"""Calls whose arguments are not a JSON object, from our own engines: one error for the request."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.errors import MeshError
from services.hop import Hop
from services.telemetry import HopMetrics
from services.tracing import Tracing
from tests.inference.asking import ask, asking
from tests.inference.scripted import backend, said
from tests.inference.templates import QWEN

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Delft"}}\n</tool_call>'
BROKEN = '<tool_call>\n{"name": "weather", "arguments": {"city": }}\n</tool_call>'
UNENDED = '<tool_call>\n{"name": "weather", "arguments": {"city": '


def asking_with_a_tool() -> pb.GenerateRequest:
    request = asking("Is it raining?")
    request.tools.add(name="weather", parameters_schema='{"type": "object"}')
    return request


@pytest.mark.parametrize(
    ("pieces", "finish"),
    [
        ([BROKEN], "stop"),
        ([UNENDED], "stop"),
        ([BROKEN, "And so on"], "length"),
        ([BROKEN, CALL[:50]], "length"),
    ],
    ids=["broken", "without an end", "before text", "before a call that the limit cuts"],
)
async def test_a_call_that_has_ended_and_is_not_json_is_an_error(
    tmp_path: Path, pieces: list[str], finish: str
) -> None:
    link, _ = backend(tmp_path, QWEN, said(*pieces, finish=finish))
    with pytest.raises(MeshError) as caught:
        await ask(link, asking_with_a_tool())
    assert caught.value.reason_name == "MALFORMED_TOOL_CALL"
    assert caught.value.metadata == {"tool": "weather"}
    assert "city" not in caught.value.message


async def test_a_call_that_the_limit_cuts_is_given_as_it_is(tmp_path: Path) -> None:
    link, _ = backend(tmp_path, QWEN, said(UNENDED, finish="length"))
    answer = await ask(link, asking_with_a_tool())
    pieces = [piece for delta in answer.deltas for piece in delta.tool_calls]
    assert "".join(piece.arguments for piece in pieces) == '{"city": '
    assert answer.finished.choices[0].finish_reason == message_pb2.FINISH_REASON_LENGTH


@pytest.mark.parametrize(
    ("written", "calls"),
    [
        ('[{"na', []),
        ('[{"name": "weather"', [("weather", "")]),
        ('[{"name": "weather", "arguments": {"city": "De', [("weather", '{"city": "De')]),
        ('[{"name": "weather", "arguments": {}}, {"name": "wea', [("weather", "{}")]),
    ],
)
async def test_a_call_that_must_come_and_that_the_limit_cuts_is_still_a_call(
    tmp_path: Path, written: str, calls: list[tuple[str, str]]
) -> None:
    for pieces in ([written], [*written]):
        link, _ = backend(tmp_path, QWEN, said(*pieces, finish="length"))
        request = asking_with_a_tool()
        request.tool_choice.mode = message_pb2.ToolChoice.MODE_REQUIRED
        answer = await ask(link, request)
        told = [piece for delta in answer.deltas for piece in delta.tool_calls]
        arguments = "".join(piece.arguments for piece in told)
        assert [(piece.name, arguments) for piece in told if piece.name] == calls
        assert answer.text() == ""
        assert answer.finished.choices[0].finish_reason == message_pb2.FINISH_REASON_LENGTH


async def test_the_named_call_that_the_limit_cuts_is_still_a_call(tmp_path: Path) -> None:
    for written in (" ", '{"city": "De'):
        link, _ = backend(tmp_path, QWEN, said(written, finish="length"))
        request = asking_with_a_tool()
        request.tool_choice.mode = message_pb2.ToolChoice.MODE_NAMED
        request.tool_choice.name = "weather"
        answer = await ask(link, request)
        told = [piece for delta in answer.deltas for piece in delta.tool_calls]
        assert [piece.name for piece in told if piece.name] == ["weather"]
        assert "".join(piece.arguments for piece in told) == written.strip()
        assert answer.text() == ""
        assert answer.finished.choices[0].finish_reason == message_pb2.FINISH_REASON_LENGTH


async def test_an_only_call_that_is_not_json_is_an_error_though_more_follows(
    tmp_path: Path,
) -> None:
    link, _ = backend(tmp_path, QWEN, said(BROKEN, CALL))
    request = asking_with_a_tool()
    request.parallel_tool_calls = False
    with pytest.raises(MeshError) as caught:
        await ask(link, request)
    assert caught.value.reason_name == "MALFORMED_TOOL_CALL"


async def test_what_happened_is_told_by_the_metrics_of_the_hop(tmp_path: Path) -> None:
    link, _ = backend(tmp_path, QWEN, said(BROKEN))
    registry = CollectorRegistry()
    hop = Hop("inference", link, HopMetrics(registry), Tracing(), {"pocket"})
    with pytest.raises(MeshError):
        await ask(hop, asking_with_a_tool())
    labels = {"link": "inference", "model": "pocket", "outcome": "error"}
    labels["reason"] = "MALFORMED_TOOL_CALL"
    assert registry.get_sample_value("catenary_requests_total", labels) == 1
