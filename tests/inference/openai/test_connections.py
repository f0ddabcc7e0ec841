"""Connections: refused, silent, left, bounded, closed, and used again."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry

from services.errors import MeshError
from services.inference.openai import HttpClient
from services.link import Call
from tests.inference.asking import ask, asking
from tests.inference.openai.conftest import Connect, backend
from tests.inference.openai.failing import counted, failing
from tests.inference.openai.server import (
    HEAD,
    FakeServer,
    Step,
    answer,
    chunk,
    event,
    fake_server,
    piece,
    said,
)

HELLO = piece(event(chunk({"content": "Hello"})))
SHORT = Duration(nanos=50_000_000)


async def test_a_server_that_is_not_there(client: HttpClient, registry: CollectorRegistry) -> None:
    async with fake_server() as gone:
        url = gone.url
    error = await failing(backend(client, base_url=url))
    assert error.reason_name == "UPSTREAM_UNREACHABLE"
    assert counted(registry, "unreachable") == 1


@pytest.mark.parametrize("steps", [[], [HEAD], [HEAD, HELLO]], ids=["all", "events", "the rest"])
async def test_a_server_that_falls_silent(
    server: FakeServer, connect: Connect, registry: CollectorRegistry, steps: Sequence[Step]
) -> None:
    server.will(*steps, asyncio.Event())
    error = await failing(connect(idle_timeout=SHORT))
    assert error.reason_name == "UPSTREAM_FAILED"
    assert counted(registry, "timed_out") == 1
    async with asyncio.timeout(5):
        await server.arrived.wait()
        await server.exchanges[0].client_left.wait()


@pytest.mark.parametrize("steps", [[], [HEAD, HELLO]], ids=["all", "the rest"])
async def test_a_deadline_that_passes(
    server: FakeServer, connect: Connect, steps: Sequence[Step]
) -> None:
    server.will(*steps, asyncio.Event())
    call = Call("r1", deadline=time.monotonic() + 0.1)
    assert (await failing(connect(), call)).reason_name == "DEADLINE_EXCEEDED"
    # On a busy machine the deadline may pass before the request arrives.
    async with asyncio.timeout(5):
        for exchange in server.exchanges:
            await exchange.client_left.wait()


async def test_a_deadline_that_has_passed_costs_the_server_nothing(
    server: FakeServer, connect: Connect
) -> None:
    call = Call("r1", deadline=time.monotonic() - 1)
    assert (await failing(connect(), call)).reason_name == "DEADLINE_EXCEEDED"
    assert not server.connections


async def test_a_caller_who_leaves_takes_the_connection_along(
    server: FakeServer, connect: Connect, registry: CollectorRegistry
) -> None:
    server.will(HEAD, HELLO, asyncio.Event())
    async with aclosing(connect().generate(asking(), Call("r1"))) as events:
        assert (await anext(events)).HasField("started")
        assert (await anext(events)).delta.text == "Hello"
    await asyncio.wait_for(server.exchanges[0].client_left.wait(), 5)
    assert counted(registry, "cancelled") == 1


async def test_a_caller_who_leaves_before_the_answer_takes_the_connection_along(
    server: FakeServer, connect: Connect, registry: CollectorRegistry
) -> None:
    server.will(asyncio.Event())
    task = asyncio.create_task(ask(connect(), asking()))
    await server.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.exchanges[0].client_left.wait(), 5)
    assert counted(registry, "cancelled") == 1


async def test_one_call_too_many_is_told_when_to_come_back(
    server: FakeServer, connect: Connect
) -> None:
    go = asyncio.Event()
    server.will(go, *said("first"))
    server.will(*said("third"))
    backend = connect(max_calls=1)
    first = asyncio.create_task(ask(backend, asking()))
    await server.arrived.wait()
    error = await failing(backend)
    assert error.reason_name == "QUEUE_FULL"
    assert error.retry_after_s == 1.0
    assert len(server.exchanges) == 1
    go.set()
    assert (await first).text() == "first"
    assert (await ask(backend, asking())).text() == "third"


async def test_a_connection_serves_again(server: FakeServer, connect: Connect) -> None:
    # The end of the answer comes on its own, a moment after the end of the stream.
    soon = asyncio.Event()
    soon.set()
    *stream, end = said("a")
    server.will(*stream, soon, end)
    backend = connect()
    for _ in range(2):
        assert (await ask(backend, asking())).text() == "a"
    assert [exchange.connection for exchange in server.exchanges] == [1, 1]


async def test_a_connection_that_was_closed_meanwhile_is_no_failure(
    server: FakeServer, connect: Connect, registry: CollectorRegistry
) -> None:
    # The end of the answer in full, and no word that the connection ends with it.
    server.will(*said("a"), b"")
    backend = connect()
    for _ in range(20):
        assert (await ask(backend, asking())).text() == "a"
    assert counted(registry, "ok") == 20
    assert server.connections == len(server.exchanges) == 20


async def test_a_request_goes_once_over_a_new_connection(
    server: FakeServer, connect: Connect
) -> None:
    server.will(b"")
    assert (await failing(connect())).reason_name == "UPSTREAM_UNREACHABLE"
    assert len(server.exchanges) == 1


@pytest.mark.parametrize("status", [200, 404, 405])
async def test_a_server_that_answers_is_open(
    server: FakeServer, connect: Connect, status: int
) -> None:
    server.will(answer(status, {"data": []}))
    await connect().open()
    (exchange,) = server.exchanges
    assert (exchange.method, exchange.path, exchange.body) == ("GET", "/v1/models", None)


@pytest.mark.parametrize("given", [answer(503), answer(401), answer(500), b""])
async def test_a_server_that_is_not_ready_is_not_open(
    server: FakeServer, connect: Connect, given: bytes
) -> None:
    server.will(given)
    with pytest.raises(MeshError) as raised:
        await connect().open()
    assert raised.value.retry_after_s
