"""Characters that a server cuts in two: joined wherever it cuts, U+FFFD where a half lacks."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import models_pb2
from services.inference.openai import chunks
from services.inference.openai.completion import Completion
from services.inference.openai.dialect import DIALECTS
from services.inference.openai.failures import Failures, GarbageError
from services.inference.openai.surrogates import Joiner
from tests.inference.asking import ask, asking
from tests.inference.openai.conftest import Connect
from tests.inference.openai.server import FakeServer, chunk, stream

GRIN = "\U0001f600"
UNITS = st.sampled_from(["a", "\u00e9", "\ufffd", GRIN, "\ud83d", "\ude00", "\ud800", "\udfff"])
PLACES = st.lists(st.integers(0, 40), max_size=6)
TEXTS = st.lists(st.text(max_size=4) | UNITS, max_size=8).map("".join)


def cut(text: str, places: Sequence[int]) -> list[str]:
    """Cut a text between units of UTF-16."""
    data = text.encode("utf-16-le", "surrogatepass")
    borders = [0, *sorted(2 * (place % (len(data) // 2 + 1)) for place in places), len(data)]
    return [data[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(borders)]


def mended(text: str) -> str:
    """Return what a decoder of UTF-16 makes of it all at once."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def completed(parts: Sequence[dict[str, Any]]) -> list[pb.Delta]:
    """Read parts of a choice, each the whole of a chunk's delta."""
    failures = Failures("vllm", "pocket", "theirs", 2048)
    card = models_pb2.Model(name="pocket")
    completion = Completion(asking(), card, DIALECTS["vllm"], failures, 0.0)
    read = [
        event
        for part in (*map(chunk, parts), chunk({}, "stop"))
        for event in completion.read(json.dumps(part).encode())
    ]
    return [event.delta for event in (*read, *completion.end()) if event.HasField("delta")]


@settings(deadline=None)
@given(text=TEXTS, places=PLACES)
@example(text=GRIN, places=[1])
@example(text=f"\ud83d{GRIN}\ude00", places=[1, 2, 3])
def test_any_cut_gives_the_same_text(text: str, places: list[int]) -> None:
    joiner = Joiner()
    pieces = [joiner.join(piece) for piece in cut(text, places)]
    assert "".join(pieces) + joiner.end() == mended(text)
    if text == mended(text):
        assert not joiner.end()


@settings(deadline=None)
@given(text=TEXTS, places=PLACES)
def test_any_cut_of_a_completion(text: str, places: list[int]) -> None:
    for name, field in (("content", "text"), ("reasoning_content", "reasoning")):
        deltas = completed([{name: piece} for piece in cut(text, places)])
        assert "".join(getattr(delta, field) for delta in deltas) == mended(text)


@settings(deadline=None)
@given(text=TEXTS, places=PLACES)
def test_any_cut_of_a_tool_calls_arguments(text: str, places: list[int]) -> None:
    written = json.dumps({"a": text}, ensure_ascii=False)
    pieces: list[dict[str, Any]] = [{"arguments": piece} for piece in cut(written, places)]
    calls = [{"index": 0, "function": function} for function in ({"name": "f"}, *pieces)]
    deltas = completed([{"tool_calls": [call]} for call in calls])
    arguments = "".join(call.arguments for delta in deltas for call in delta.tool_calls)
    assert json.loads(arguments) == {"a": mended(text)}


async def test_halves_in_two_chunks(server: FakeServer, connect: Connect) -> None:
    parts = (chunk({"content": "a\ud83d"}), chunk({"content": "\ude00b"}, "stop"))
    server.will(*stream(*parts))
    answer = await ask(connect(), asking())
    assert [delta.text for delta in answer.deltas] == ["a", f"{GRIN}b"]
    assert answer.finished.usage.output_tokens == 2


async def test_a_half_that_stays_alone(server: FakeServer, connect: Connect) -> None:
    server.will(*stream(chunk({"content": "a\ud83d"}), chunk({"content": "b\ud83d"}, "stop")))
    answer = await ask(connect(), asking())
    assert answer.text() == "a\ufffdb\ufffd"


async def test_a_stop_text_that_is_cut_in_two(server: FakeServer, connect: Connect) -> None:
    server.will(*stream(chunk({"content": "a\ud83d"}), chunk({"content": "\ude00b"}, "stop")))
    answer = await ask(connect("tgi"), asking(stop=[GRIN]))
    assert answer.text() == "a"
    assert answer.finished.choices[0].stop == GRIN


async def test_halves_where_nothing_comes_in_pieces(server: FakeServer, connect: Connect) -> None:
    token = {"token": "\ud83d", "bytes": [0xF0, 0x9F], "logprob": -0.5}
    part = chunk({"content": "\ud83d"}, "stop\ud83d", logprobs={"content": [token]})
    server.will(*stream(part | {"id": "\ud83d"}))
    (delta, last) = (await ask(connect(), asking(logprobs=0))).deltas
    assert [(given.token, given.token_bytes) for given in delta.logprobs] == [("", b"\xf0\x9f")]
    assert last.text == "\ufffd"


@pytest.mark.parametrize(
    "data",
    [
        b'{"x": "\\ud83d", "choices": [',
        b'{"x": "\\ud83d", "choices": 7}',
        b'{"x": "\\ud83d", "y": NaN}',
        b'{"x": "\\ud83d", "y": "\xff"}',
        b'{"x": "\\ud83d", "y": ' + b"[" * 100_000,
    ],
)
def test_garbage_stays_garbage(data: bytes) -> None:
    with pytest.raises(GarbageError):
        chunks.decode(data)
