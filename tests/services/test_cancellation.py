"""A channel that is closed under a call is an upstream that is gone, not a caller who left."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from catenary.v1 import generation_pb2 as pb
from infra.engine.engine import Generation
from infra.engine.vocabulary import Vocabulary
from services.errors import MeshError
from services.inference.engine import EngineRequest
from services.inference.triton import TritonClient
from services.link import Call
from services.remote import RemoteLink
from services.tracing import Tracing
from tests.inference.triton import POCKET

LINK = pb.DESCRIPTOR.services_by_name["Generation"].full_name
TRITON = "inference.GRPCInferenceService"


class Silent:
    """A server that takes a call, and says nothing."""

    def __init__(self) -> None:
        self.called = asyncio.Event()

    async def answer(self, *_: Any) -> None:
        self.called.set()
        await asyncio.Event().wait()


@asynccontextmanager
async def silent(service: str, method: str) -> AsyncIterator[tuple[Silent, grpc.aio.Channel]]:
    server, said = grpc.aio.server(), Silent()
    handler: Any = grpc.unary_stream_rpc_method_handler(said.answer)
    handlers = grpc.method_handlers_generic_handler(service, {method: handler})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield said, channel
    finally:
        await server.stop(None)


async def first(events: AsyncGenerator[Any, None], server: Silent) -> "asyncio.Future[Any]":
    """Ask for the first event, once the server has the call."""
    reading = asyncio.ensure_future(anext(events))
    await asyncio.wait_for(server.called.wait(), 10)
    return reading


async def test_a_link_whose_channel_is_closed_is_unreachable() -> None:
    async with silent(LINK, "Generate") as (server, channel):
        link = RemoteLink("cache", channel, Tracing())
        reading = await first(link.generate(pb.GenerateRequest(), Call("1")), server)
        await channel.close()
        with pytest.raises(MeshError, match="cache"):
            await reading


async def test_a_triton_whose_channel_is_closed_is_unreachable() -> None:
    vocabulary = Vocabulary.read(POCKET / "tokenizer.json")
    async with silent(TRITON, "ModelStreamInfer") as (server, channel):
        client = TritonClient(
            channel, Tracing(), "pocket", "pocket.v1", vocabulary, "openvino", refusals={}
        )
        asked = EngineRequest("", Generation(input_ids=[1], max_output_tokens=1))
        reading = await first(client.generate(asked, Call("1")), server)
        await channel.close()
        with pytest.raises(MeshError, match="triton"):
            await reading


async def test_a_caller_who_leaves_still_leaves() -> None:
    async with silent(LINK, "Generate") as (server, channel):
        link = RemoteLink("cache", channel, Tracing())
        reading = await first(link.generate(pb.GenerateRequest(), Call("1")), server)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
