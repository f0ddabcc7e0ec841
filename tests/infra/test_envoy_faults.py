"""Replicas that die, stick and come back behind Envoy, and the balance between those that live."""

import asyncio
import json
import signal
from contextlib import AsyncExitStack

import grpc
import httpx
import pytest

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import generation_pb2_grpc, models_pb2, models_pb2_grpc
from services.transport import OPTIONS
from tests.infra.conftest import Edge, StartEdge, StartUpstream, free_port
from tests.infra.upstream import Seen, serving

CHAT = "/v1/chat/completions"
HELD = {"model": "held", "messages": [], "stream": True}
PATIENCE_S = 20.0


async def until(edge: Edge, status: int) -> None:
    """Ask until Envoy answers with the status; what is asked meanwhile may fail or hang."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                response = await edge.http.get("/v1/models", timeout=0.5)
            except httpx.TimeoutException:
                continue
            if response.status_code == status:
                return


async def until_lost(edge: Edge, replica: str) -> None:
    """Wait until Envoy knows that every connection to a replica is gone."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            clusters = await edge.http.get(f"http://{edge.admin}/clusters")
            if f"gateway::{replica}::cx_active::0\n" in clusters.text:
                return
            await asyncio.sleep(0.02)


async def test_a_gateway_killed_in_mid_stream_breaks_the_stream(
    start_edge: StartEdge, start_upstream: StartUpstream
) -> None:
    address = f"127.0.0.1:{free_port()}"
    gateway = await start_upstream(address)
    edge = await start_edge({"gateway": [address]})
    native = {"model": "held", "messages": []}
    call = generation_pb2_grpc.GenerationStub(edge.channel).Generate(
        pb.GenerateRequest(model="held")
    )
    assert (await anext(aiter(call))).HasField("started")
    async with (
        edge.http.stream("POST", CHAT, json=HELD) as openai_stream,
        edge.http.stream("POST", "/catenary/v1/generate", json=native) as native_stream,
    ):
        openai_lines, native_lines = openai_stream.aiter_lines(), native_stream.aiter_lines()
        assert "one" in await anext(openai_lines)
        assert json.loads(await anext(native_lines)) == {"started": {"model": "held"}}
        gateway.kill()
        for lines in (openai_lines, native_lines):
            with pytest.raises(httpx.RemoteProtocolError):
                assert [line async for line in lines] == []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(call))
    # Envoy resets the stream, which gRPC tells by this code.
    assert caught.value.code() == grpc.StatusCode.INTERNAL


async def test_a_killed_gateway_is_told_at_once_and_found_again(
    start_edge: StartEdge, start_upstream: StartUpstream
) -> None:
    address = f"127.0.0.1:{free_port()}"
    gateway = await start_upstream(address)
    edge = await start_edge({"gateway": [address]})
    gateway.kill()
    await gateway.wait()
    response = await edge.http.get("/v1/models")
    assert response.json()["error"]["code"] == "upstream_unreachable"
    await start_upstream(address)
    await until(edge, httpx.codes.OK)


async def test_a_stuck_gateway_gets_no_more_calls(
    start_edge: StartEdge, start_upstream: StartUpstream
) -> None:
    address = f"127.0.0.1:{free_port()}"
    gateway = await start_upstream(address)
    edge = await start_edge({"gateway": [address]})
    gateway.send_signal(signal.SIGSTOP)
    try:
        await until(edge, httpx.codes.SERVICE_UNAVAILABLE)
    finally:
        gateway.send_signal(signal.SIGCONT)
    await until(edge, httpx.codes.OK)


async def test_calls_are_spread_over_the_replicas(start_edge: StartEdge) -> None:
    seen = [Seen(), Seen()]
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(serving("127.0.0.1:0", each)) for each in seen]
        edge = await start_edge({"gateway": replicas})
        async with asyncio.timeout(PATIENCE_S):
            while not all(each.calls for each in seen):
                assert (await edge.http.get("/v1/models")).status_code == httpx.codes.OK


async def test_a_killed_replica_costs_no_new_call(
    start_edge: StartEdge, start_upstream: StartUpstream, upstream: str, seen: Seen
) -> None:
    address = f"127.0.0.1:{free_port()}"
    replica = await start_upstream(address)
    edge = await start_edge({"gateway": [address, upstream]})
    asked = 0
    while asked == seen.calls:  # until the replica has had a call, and so a connection to lose
        await edge.http.get("/v1/models")
        asked += 1
    replica.kill()
    await replica.wait()
    await until_lost(edge, address)
    for _ in range(20):
        response = await edge.http.get("/v1/models")
        assert response.status_code == httpx.codes.OK, response.text


async def test_links_find_each_other_by_name(start_edge: StartEdge) -> None:
    seen = {"gateway": [Seen()], "safety": [Seen()], "inference": [Seen(), Seen()]}
    async with AsyncExitStack() as stack:
        replicas = {
            link: [await stack.enter_async_context(serving("127.0.0.1:0", each)) for each in links]
            for link, links in seen.items()
        }
        edge = await start_edge(replicas, mesh=True)
        for link in ("safety", "inference"):
            options = [*OPTIONS, ("grpc.default_authority", link)]
            async with grpc.aio.insecure_channel(edge.mesh_address, options) as channel:
                models = models_pb2_grpc.ModelsStub(channel)
                for _ in range(20):
                    await models.ListModels(models_pb2.ListModelsRequest())
    calls = {link: [each.calls for each in links] for link, links in seen.items()}
    assert calls["gateway"] == [0]
    assert calls["safety"] == [20]
    assert sum(calls["inference"]) == 20
    assert all(calls["inference"])


async def test_an_unknown_link_is_an_error(start_edge: StartEdge, upstream: str) -> None:
    edge = await start_edge({"gateway": [upstream]}, mesh=True)
    options = [("grpc.default_authority", "nobody")]
    async with grpc.aio.insecure_channel(edge.mesh_address, options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await models_pb2_grpc.ModelsStub(channel).ListModels(models_pb2.ListModelsRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
