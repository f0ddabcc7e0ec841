"""The load that replicas of the inference link tell: what Envoy makes of it, and who sees it."""

import asyncio
import base64
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import grpc

from catenary.v1 import generation_pb2_grpc
from infra.engine.figures import Load
from services import errors, server
from services.inference.load import LoadReports
from services.link import Link
from services.remote import RemoteLink, connect
from services.tracing import Tracing
from tests.fakes import Clock, Scripted, answer, call, outcome, request
from tests.infra.conftest import StartEdge
from xds.data.orca.v3.orca_load_report_pb2 import OrcaLoadReport

BOUND_S = 30
ROUND = 100


def load(utilization: float, cached_prompt_ratio: float = math.nan) -> Load:
    return Load(
        utilization=utilization,
        running=utilization * 64,
        waiting=3,
        waiting_tokens=300,
        kv_cache_usage_ratio=0.5,
        tokens_per_s=1000,
        sequences_per_s=10,
        batch_size=5,
        max_batch_size=64,
        cached_prompt_ratio=cached_prompt_ratio,
    )


@asynccontextmanager
async def replica(link: Link, reports: LoadReports) -> AsyncIterator[str]:
    service = server.generation(link, Tracing(), reports)
    async with server.serving([service], "127.0.0.1:0", Tracing(), 0) as port:
        yield f"127.0.0.1:{port}"


async def report_of(address: str) -> OrcaLoadReport:
    """Call a replica, and return what its trailing metadata tell."""
    async with grpc.aio.insecure_channel(address) as channel:
        rpc = generation_pb2_grpc.GenerationStub(channel).Generate(request())
        with suppress(grpc.aio.AioRpcError):
            async for _ in rpc:
                pass
        metadata = dict(await rpc.trailing_metadata())
    form, _, encoded = str(metadata[server.LOAD_REPORT]).partition(" ")
    assert form == "BIN"
    return OrcaLoadReport.FromString(base64.b64decode(encoded))


async def shares(edge_mesh: str, links: Sequence[Scripted]) -> list[float]:
    """Return which share of a round of calls each replica gets."""
    before = [len(link.requests) for link in links]
    async with connect(edge_mesh, "inference", Tracing()) as channel:
        upstream = RemoteLink("inference", channel, Tracing())
        for _ in range(ROUND):
            events, error = await outcome(upstream, request(), call())
            assert error is None
            assert events
    return [(len(link.requests) - was) / ROUND for link, was in zip(links, before, strict=True)]


async def test_envoy_sends_more_to_the_replica_that_has_less_to_do(start_edge: StartEdge) -> None:
    idle, busy = LoadReports(), LoadReports()
    links = [Scripted(answer("a")), Scripted(answer("a"))]
    async with AsyncExitStack() as stack:
        addresses = []
        for link, reports in zip(links, (idle, busy), strict=True):
            reports.note("pocket", load(0.5))
            addresses.append(await stack.enter_async_context(replica(link, reports)))
        edge = await start_edge({"gateway": addresses[:1], "inference": addresses}, mesh=True)
        # As long as they tell the same, they get the same.
        for share in await shares(edge.mesh_address, links):
            assert 0.4 <= share <= 0.6
        idle.note("pocket", load(0.1))
        busy.note("pocket", load(0.9))
        async with asyncio.timeout(BOUND_S):
            # Envoy weighs anew twice a second, once it has known a replica for a while.
            while (await shares(edge.mesh_address, links))[0] < 0.85:
                pass
        # And back again.
        idle.note("pocket", load(0.9))
        busy.note("pocket", load(0.1))
        async with asyncio.timeout(BOUND_S):
            while (await shares(edge.mesh_address, links))[1] < 0.85:
                pass


async def test_answers_and_errors_tell_the_load() -> None:
    clock = Clock()
    reports = LoadReports(clock)
    reports.note("pocket", load(0.25))
    reports.note("other", load(0.75))
    upstream = Scripted(answer("a"))
    async with replica(upstream, reports) as address:
        told = await report_of(address)
        assert told.application_utilization == 0.75
        assert told.rps_fractional == 20
        assert dict(told.named_metrics) == {
            "running": 64,
            "waiting": 6,
            "waiting_tokens": 600,
            "kv_cache_usage_ratio": 0.5,
            "tokens_per_second": 2000,
            "batch_size": 10,
            "max_batch_size": 128,
        }
        reports.note("other", load(0.75, cached_prompt_ratio=0.25))
        assert (await report_of(address)).named_metrics["prompt_tokens_cached_ratio"] == 0.25
        upstream.script = [errors.invalid_field("n", "is too high")]
        assert (await report_of(address)).eps == 0, "the caller's own mistake"
        upstream.script = [errors.queue_full("pocket", 1)]
        assert (await report_of(address)).eps > 0
        clock.now += 100
        stale = await report_of(address)
        assert stale.application_utilization == 0
        assert 0 < stale.eps < 0.2
