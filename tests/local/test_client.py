import asyncio

from catenary.client import Client
from catenary.v1 import generation_pb2 as pb
from tests.local.fake_mesh import FakeMesh, serving


async def test_closing_the_stream_cancels_the_generation() -> None:
    with serving(FakeMesh(hangs=True)) as mesh:
        async with Client(mesh.address) as client:
            events = client.generate(pb.GenerateRequest(model="pocket"))
            assert (await anext(events)).WhichOneof("event") == "started"
            await events.aclose()
            assert await asyncio.to_thread(mesh.left.wait, 10)


async def test_models_are_listed() -> None:
    with serving(FakeMesh()) as mesh:
        async with Client(mesh.address) as client:
            assert [model.name for model in await client.models()] == [
                "embedder",
                "large",
                "pocket",
            ]
