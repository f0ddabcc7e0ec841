"""Serving: a port that is taken, health and reflection, and a stop that lets streams end."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from catenary.v1 import generation_pb2 as pb
from services import errors, remote, server
from services.tracing import Tracing
from tests.fakes import Scripted, answer, call, delta, finished, outcome, request, started

GENERATION = "catenary.v1.Generation"
BOUND_S = 30


def services(upstream: Scripted) -> list[server.Service]:
    return [server.generation(upstream, Tracing())]


async def test_a_port_that_is_taken_is_told() -> None:
    served = services(Scripted([]))
    async with server.serving(served, "127.0.0.1:0", Tracing(), 0) as port:
        with pytest.raises(OSError, match=rf"^cannot listen on 127.0.0.1:{port}: the port is"):
            await server.serving(served, f"127.0.0.1:{port}", Tracing(), 0).__aenter__()


async def test_health_and_reflection_name_the_service() -> None:
    async with (
        server.serving(services(Scripted([])), "127.0.0.1:0", Tracing(), 0) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", GENERATION):
            answered = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answered.status == health_pb2.HealthCheckResponse.SERVING
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
        reflected = reflection.ServerReflectionInfo(iter([asked]))
        async for listed in reflected:
            names = {service.name for service in listed.list_services_response.service}
            assert names >= {GENERATION, "grpc.health.v1.Health"}


class Broken:
    """A call whose write fails, as gRPC's do when the caller leaves in the midst of a large one."""

    def __init__(self, *, left: bool) -> None:
        self.left = left
        self.aborted: grpc.StatusCode | None = None

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def time_remaining(self) -> None:
        return None

    def cancelled(self) -> bool:
        return self.left

    async def write(self, _: pb.GenerateResponse) -> None:
        raise grpc.aio.InternalError

    async def abort(self, code: grpc.StatusCode, *_: object) -> None:
        self.aborted = code


@pytest.mark.parametrize("left", [True, False], ids=["the caller left", "a defect"])
async def test_a_caller_who_leaves_in_the_midst_of_a_write_is_no_defect(
    caplog: pytest.LogCaptureFixture, *, left: bool
) -> None:
    upstream, context = Scripted([started(), asyncio.Event()]), Broken(left=left)
    await server.LinkServicer(upstream, Tracing()).Generate(request(), context)  # type: ignore[arg-type]
    assert upstream.closed.is_set()
    assert context.aborted == (None if left else grpc.StatusCode.INTERNAL)
    assert ("defect" in caplog.text) == (not left)


@asynccontextmanager
async def router(upstream: Scripted, config: Path) -> AsyncIterator[tuple[Process, str]]:
    """The router's own process, in front of a link of this one; with the address it serves on."""
    async with server.serving(services(upstream), "127.0.0.1:0", Tracing(), 0) as port:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.router", "--config", str(config)),
            *("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"),
            *("--upstream", f"127.0.0.1:{port}"),
            stderr=PIPE,
        )
        try:
            yield process, str((await logged(process, "serving"))["address"])
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def logged(process: Process, message: str) -> dict[str, object]:
    """Wait for a line of the process's log."""
    assert process.stderr is not None
    async with asyncio.timeout(BOUND_S):
        while line := await process.stderr.readline():
            record: dict[str, object] = json.loads(line)
            if record["message"] == message:
                return record
    raise AssertionError(f"the process ended without saying {message!r}")


async def refused(address: str) -> None:
    """Call until no new call is taken: the last may have come in before the stop did."""
    async with asyncio.timeout(BOUND_S), grpc.aio.insecure_channel(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError):  # noqa: PT012 - whichever call it is
            while True:
                await health.Check(health_pb2.HealthCheckRequest())


async def test_a_process_that_is_told_to_stop_lets_streams_end(tmp_path: Path) -> None:
    config = tmp_path / "mesh.yaml"
    config.touch()
    gate = asyncio.Event()
    upstream = Scripted([started(), gate, delta("the end"), finished()])
    async with router(upstream, config) as (process, address):
        channel = remote.connect(address, "router", Tracing())
        link = remote.RemoteLink("router", channel, Tracing())
        async with channel, aclosing(link.generate(request(), call())) as events:
            await anext(events)
            process.send_signal(signal.SIGTERM)
            await logged(process, "draining")
            await refused(address)
            gate.set()
            rest = [event async for event in events]
        assert rest[-1].HasField("finished")
        assert await asyncio.wait_for(process.wait(), BOUND_S) == 0


async def test_a_stream_that_does_not_end_in_time_is_ended(tmp_path: Path) -> None:
    config = tmp_path / "mesh.yaml"
    config.write_text("server:\n  drain: 0.05s\n")
    upstream = Scripted([started(), asyncio.Event()])
    async with router(upstream, config) as (process, address):
        channel = remote.connect(address, "router", Tracing())
        link = remote.RemoteLink("router", channel, Tracing())
        async with channel, aclosing(link.generate(request(), call())) as events:
            await anext(events)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(errors.MeshError) as caught:
                await asyncio.wait_for(anext(events_after(events)), BOUND_S)
        assert caught.value.code == grpc.StatusCode.UNAVAILABLE
        assert await asyncio.wait_for(process.wait(), BOUND_S) == 0
        await asyncio.wait_for(upstream.closed.wait(), BOUND_S)


async def events_after(
    events: AsyncIterator[pb.GenerateResponse],
) -> AsyncIterator[pb.GenerateResponse]:
    async for event in events:
        if not event.HasField("decision"):
            yield event


async def test_a_process_serves_its_metrics(tmp_path: Path) -> None:
    config = tmp_path / "mesh.yaml"
    config.touch()
    async with router(Scripted(answer("a")), config) as (process, address):
        channel = remote.connect(address, "router", Tracing())
        async with channel:
            events, error = await outcome(
                remote.RemoteLink("router", channel, Tracing()), request(), call()
            )
        assert error is None
        assert events[1].decision.HasField("router")
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), BOUND_S) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rooter: {}\n", "mesh.yaml:1: rooter: there is no such field here"),
        ("", "the port is taken"),
    ],
)
async def test_a_process_that_cannot_start_says_why_in_one_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    config = tmp_path / "mesh.yaml"
    config.write_text(text)
    async with server.serving(services(Scripted([])), "127.0.0.1:0", Tracing(), 0) as port:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cache", "--config", str(config)),
            *("--listen", f"127.0.0.1:{port}", "--metrics", "127.0.0.1:0"),
            *("--upstream", "127.0.0.1:1"),
            stderr=PIPE,
        )
        _, stderr = await asyncio.wait_for(process.communicate(), BOUND_S)
    # gRPC's own core writes a line of its own about a port that is taken.
    line = stderr.decode().splitlines()[-1]
    assert line.startswith("catenary cache: ")
    assert problem in line
    assert process.returncode == 1
