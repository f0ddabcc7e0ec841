"""The engine beside the link: what its callers see of it, however they read, whatever happens."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest
import uvloop

from infra.engine import frames, process
from infra.engine.engine import Generation
from infra.engine.figures import Figures
from infra.engine.vocabulary import Vocabulary
from services.errors import MeshError
from services.inference import backends
from services.inference.engine import EngineRequest, Piece
from services.inference.engine_metrics import EngineCollector, ModelFigures
from services.inference.in_process import InProcessClient
from services.link import Call
from tests.inference.contract.engines import CONFIG
from tests.inference.triton import POCKET


@pytest.fixture
async def client() -> AsyncIterator[InProcessClient]:
    vocabulary = Vocabulary.read(POCKET / "tokenizer.json")
    opened = backends.in_process(CONFIG, vocabulary, EngineCollector())
    await opened.open()
    yield opened
    await opened.close()


def asked(tokens: int) -> EngineRequest:
    ids = [1, 4, 300, 301]
    return EngineRequest(
        "", Generation(input_ids=ids, max_output_tokens=tokens, min_output_tokens=tokens)
    )


async def test_a_reader_who_is_slower_than_the_engine_gets_all_of_it(
    client: InProcessClient,
) -> None:
    pieces: list[Piece] = []
    async with aclosing(client.generate(asked(100), Call("slow"))) as generation:
        async for piece in generation:
            pieces.append(piece)
            if piece.output_tokens:
                # Until all has been said; then it is there in one piece.
                while client.serving.calls:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0)
    assert sum(piece.output_tokens for piece in pieces) == 100
    assert pieces[-1].finish_reason == "length"
    assert len(pieces) == 3


async def test_an_engine_that_is_killed_again_and_again_comes_back(
    client: InProcessClient,
) -> None:
    for _ in range(2):
        async with aclosing(client.generate(asked(1900), Call("long"))) as generation:
            await anext(generation)
            os.kill(worker(), signal.SIGKILL)
            with pytest.raises(MeshError) as caught:
                async for _ in generation:
                    pass
        assert caught.value.reason_name == "UPSTREAM_FAILED"
        await until_up(client)
        async with aclosing(client.generate(asked(2), Call("next"))) as generation:
            assert sum([piece.output_tokens async for piece in generation]) == 2


async def test_while_the_engine_restarts_callers_are_told_so(
    client: InProcessClient,
) -> None:
    os.kill(worker(), signal.SIGKILL)
    while client.serving.process.is_up:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    with pytest.raises(MeshError) as caught:
        await anext(client.generate(asked(2), Call("early")))
    told = "the engine of model 'pocket' is restarting; try again in 1.0 s"
    assert (caught.value.message, caught.value.retry_after_s) == (told, 1.0)
    assert caught.value.code == grpc.StatusCode.UNAVAILABLE
    await until_up(client)


async def test_figures_are_shown_until_the_version_is_given_up() -> None:
    collector = EngineCollector()
    first, second = (ModelFigures("pocket", collector) for _ in range(2))
    shown = Figures()
    first.publish(Figures())
    second.publish(shown)
    first.withdraw()
    assert collector.figures == {"pocket": shown}
    second.withdraw()
    assert not collector.figures


async def until_up(client: InProcessClient) -> None:
    async with asyncio.timeout(30):
        while not client.serving.process.is_up:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


def worker() -> int:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    (found,) = (
        pid
        for pid, command in commands.items()
        if b"infra.engine.worker" in command and b"--triton" not in command
    )
    return found


def test_a_message_to_a_process_that_has_just_gone_harms_nobody() -> None:
    async def send() -> None:
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=ours)
        theirs.close()
        writer.transport.abort()
        await asyncio.sleep(0)
        process._send(writer, frames.Stop())

    # The links run on uvloop, which raises where asyncio says nothing.
    uvloop.run(send())
