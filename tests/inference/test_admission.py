"""The link with real Triton: who is served when, what it is told of the load, and what counts."""

import asyncio
import base64
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from catenary.config.v1 import models_pb2
from catenary.v1 import generation_pb2 as pb
from services import models
from services.errors import MeshError
from services.inference import Inference, backends
from services.inference.backend import Backend
from services.inference.load import LoadReports
from services.link import Call
from tests.inference.asking import ask, asking
from tests.inference.triton import POCKET, Triton, connected, resources_at, served, start, stop
from xds.data.orca.v3.orca_load_report_pb2 import OrcaLoadReport

BOUND_S = 30
STREAMS = 32


def endless(text: str = "What is Catenary?", model: str = "pocket") -> pb.GenerateRequest:
    return asking(text, model, max_output_tokens=1900, min_output_tokens=1900)


async def until(
    triton: Triton, name: str, least: float, model: str = "pocket", reason: str = ""
) -> None:
    """Wait for a metric, which is published twice a second."""
    async with asyncio.timeout(BOUND_S):
        while triton.metric(name, model, reason) < least:  # noqa: ASYNC110 - metrics tell nobody
            await asyncio.sleep(0.05)


async def test_a_short_request_ends_before_the_long_ones_that_it_came_after(
    link: Inference,
) -> None:
    loop = asyncio.get_running_loop()
    begun = [loop.create_future() for _ in range(8)]
    ended: list[str] = []

    async def long(number: int) -> None:
        async with aclosing(link.generate(endless(), Call(str(number)))) as events:
            async for event in events:
                if event.HasField("delta") and not begun[number].done():
                    begun[number].set_result(None)
        ended.append("long")

    running = [asyncio.create_task(long(number)) for number in range(8)]
    await asyncio.gather(*begun)
    assert (await ask(link, asking(max_output_tokens=5))).finished.usage.output_tokens == 5
    ended.append("short")
    await asyncio.gather(*running)
    assert ended == ["short", *["long"] * 8]


async def test_a_deadline_ends_the_wait_and_costs_the_engine_nothing(
    link: Inference, triton: Triton
) -> None:
    def failed() -> float:
        # Refused, told by the engine's own timer, or by Triton that the caller has left.
        reasons = ("DEADLINE_TOO_SHORT", "DEADLINE_EXCEEDED", "CANCELLED")
        name = "catenary_engine_failures_total"
        return sum(triton.metric(name, "narrow", reason) for reason in reasons)

    before = failed()
    async with aclosing(link.generate(endless(model="narrow"), Call("runs"))) as running:
        await anext(running)
        late = Call("waits", deadline=time.monotonic() + 0.2)
        with pytest.raises(MeshError) as caught:
            await ask(link, asking(model="narrow"), late)
        assert caught.value.reason_name == "DEADLINE_EXCEEDED"
        async with asyncio.timeout(BOUND_S):
            while failed() == before:  # noqa: ASYNC110 - metrics tell nobody
                await asyncio.sleep(0.05)
    # Its place in the queue, of which there is but one, is free.
    await ask(link, asking(model="narrow", max_output_tokens=2))


async def test_triton_s_metrics_tell_what_the_engine_does(link: Inference, triton: Triton) -> None:
    before = triton.metric("catenary_engine_prompt_tokens_total")
    answer = await ask(link, asking(max_output_tokens=50, min_output_tokens=50))
    await until(
        triton, "catenary_engine_prompt_tokens_total", before + answer.finished.usage.input_tokens
    )
    await until(triton, "catenary_engine_steps_total", 50)
    await until(triton, "catenary_engine_batch_size", 1)
    assert triton.metric("catenary_engine_tokens_per_second") > 0
    assert triton.metric("catenary_engine_restarts_total") == 0
    async with asyncio.timeout(BOUND_S):
        for name in ("sequences_waiting", "tokens_waiting", "sequences_running", "tokens_running"):
            while triton.metric(f"catenary_engine_{name}"):  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.05)
    # This engine does not tell.
    assert "catenary_engine_prompt_tokens_cached_total{" not in triton.metrics()


async def test_the_link_hears_how_busy_the_engine_is(triton: Triton) -> None:
    loads = LoadReports()
    async with reporting(triton, loads) as backend:
        beside = asyncio.create_task(ask(backend, asking(max_output_tokens=400)))
        await ask(backend, asking(max_output_tokens=20))
        report = loads.report(has_failed=False).removeprefix("BIN ")
        await beside
    told = OrcaLoadReport.FromString(base64.b64decode(report))
    assert 0 < told.application_utilization <= 1
    assert told.rps_fractional > 0
    assert told.named_metrics["running"] >= 1
    assert 0 < told.named_metrics["kv_cache_usage_ratio"] < 1
    assert 1 <= told.named_metrics["batch_size"] <= told.named_metrics["max_batch_size"] == 64
    # This engine does not tell.
    assert "prompt_tokens_cached_ratio" not in told.named_metrics


@asynccontextmanager
async def reporting(triton: Triton, loads: LoadReports) -> AsyncIterator[Backend]:
    config = models_pb2.ModelConfig(name="pocket", path=str(POCKET))
    address = f"127.0.0.1:{triton.ports.grpc}"
    async with resources_at(address, loads) as resources:
        yield await backends.build(config, models.describe([config])["pocket"], resources)


async def test_an_engine_that_dies_is_counted_and_logged(tmp_path: Path) -> None:
    triton = start(tmp_path, served())
    try:
        async with connected(triton, "pocket") as link:
            async with aclosing(link.generate(endless(), Call("r1"))) as running:
                await anext(running)
                os.kill(triton.worker(64), signal.SIGKILL)
                with pytest.raises(MeshError):
                    async for _ in running:
                        pass
            await until(triton, "catenary_engine_restarts_total", 1)
            await until(triton, "catenary_engine_failures_total", 1, reason="ENGINE_FAILED")
        said = "the engine's process ended with code -9, and 1 generations with it"
        assert said in triton.log.read_text()
    finally:
        stop(triton)


async def test_a_stub_that_waits_for_a_triton_that_was_killed_is_taken_down(tmp_path: Path) -> None:
    triton = start(tmp_path, served())
    below = triton.children()
    (stub,) = (pid for pid, command in below.items() if "backend_stub" in command)
    # Nothing of its Python runs, as while it waits for Triton to take a metric.
    os.kill(stub, signal.SIGSTOP)
    triton.process.kill()
    triton.process.wait()
    async with asyncio.timeout(BOUND_S):
        while any(Path(f"/proc/{pid}").exists() for pid in below):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.05)


async def test_a_triton_killed_under_many_streams_fails_each_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    triton = start(tmp_path, served(kv_cache_mib=128))
    below = triton.children()

    async def stream(number: int) -> str:
        try:
            await ask(link, endless(f"What is {number}?"))
        except MeshError as error:
            return error.reason_name
        return ""

    try:
        async with connected(triton, "pocket") as link:
            await ask(link, asking(max_output_tokens=2))
            tasks = len(asyncio.all_tasks())
            streams = [asyncio.create_task(stream(number)) for number in range(STREAMS)]
            await until(triton, "catenary_engine_sequences_running", STREAMS)
            triton.process.kill()
            async with asyncio.timeout(BOUND_S):
                ends = await asyncio.gather(*streams)
            assert ends == ["UPSTREAM_UNREACHABLE"] * STREAMS
            assert len(asyncio.all_tasks()) == tasks
    finally:
        triton.process.kill()
        triton.process.wait()
    async with asyncio.timeout(BOUND_S):
        while any(Path(f"/proc/{pid}").exists() for pid in below):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.05)
