"""Servers that heed no limit and never end: they are cut off, and nothing grows with them."""

import asyncio
from typing import Any

import pytest

from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from tests.inference.asking import ask, asking
from tests.inference.openai.conftest import Connect
from tests.inference.openai.server import HEAD, FakeServer, chunk, event, piece, stream

SLACK = 64 * 1024
TOKEN = 256


def call(arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": arguments}}]}


def entry(text: str) -> dict[str, Any]:
    return {"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}


@pytest.mark.parametrize(
    ("request_", "max_bytes"),
    [
        (asking(max_output_tokens=40), SLACK + 40 * TOKEN),
        (asking(max_output_tokens=40, n=2), SLACK + 80 * TOKEN),
        (asking(), SLACK + 2048 * TOKEN),
    ],
)
@pytest.mark.parametrize(
    "given",
    [
        chunk({"content": "blah " * 200}),
        chunk({"reasoning": "hmm " * 200}),
        chunk(call("x" * 1000)),
        # Nothing at all grows too, where it is gathered.
        chunk({"content": "a"}),
    ],
)
async def test_a_server_that_goes_on_is_cut_off(
    server: FakeServer,
    connect: Connect,
    request_: pb.GenerateRequest,
    given: dict[str, Any],
    max_bytes: int,
) -> None:
    many = piece(b"".join([event(given)] * 8))
    never = asyncio.Event()
    server.will(HEAD, *[many] * (max_bytes // 16 // 8 + 1), never)
    with pytest.raises(MeshError) as caught:
        await asyncio.wait_for(ask(connect(), request_), 30)
    assert caught.value.reason_name == "UPSTREAM_FAILED"
    assert str(max_bytes) in caught.value.message
    async with asyncio.timeout(10):
        await server.exchanges[0].client_left.wait()


async def test_log_probabilities_count_too(server: FakeServer, connect: Connect) -> None:
    entries = [entry("")] * 6000
    given = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": entries}}
    server.will(HEAD, piece(event({"choices": [given]})), asyncio.Event())
    with pytest.raises(MeshError, match="cut off"):
        await asyncio.wait_for(ask(connect(), asking(max_output_tokens=5, logprobs=0)), 30)


async def test_long_tokens_are_no_sign_of_it(server: FakeServer, connect: Connect) -> None:
    text = " " * 128
    pieces = [chunk({"content": text})] * 39
    server.will(*stream(*pieces, chunk({"content": text}, "length")))
    answer = await ask(connect(), asking(max_output_tokens=40))
    assert answer.text() == text * 40
