"""A caller who leaves cancels the whole chain, at whichever event."""

import asyncio
from contextlib import aclosing

import pytest

from services.chain import Wrapper
from tests.conftest import Topology
from tests.fakes import Scripted, call, delta, request, started

BOUND_S = 5


async def settled(upstream: Scripted) -> None:
    await asyncio.wait_for(upstream.closed.wait(), BOUND_S)
    assert upstream.running == 0


@pytest.mark.parametrize("tokens", range(4))
async def test_closing_the_stream_reaches_the_engine(
    topology: Topology, wrap: Wrapper, tokens: int
) -> None:
    upstream = Scripted([started(), *[delta("lorem ipsum ")] * tokens, asyncio.Event()])
    link = await topology.chain(wrap, terminal=upstream)
    async with aclosing(link.generate(request(), call())) as events:
        assert (await anext(events)).HasField("started")
        seen = 0
        while seen < tokens:
            seen += (await anext(events)).delta.output_tokens
        assert upstream.running == 1
    if not topology.loopback:
        # In one process it is not left to the collector.
        assert upstream.closed.is_set()
    await settled(upstream)


async def test_cancelling_who_waits_reaches_the_engine(topology: Topology, wrap: Wrapper) -> None:
    waiting = asyncio.Event()

    class Gate(asyncio.Event):
        async def wait(self) -> bool:  # type: ignore[override]
            waiting.set()
            return await super().wait()

    upstream = Scripted([started(), delta("lorem ipsum "), Gate()])
    link = await topology.chain(wrap, terminal=upstream)

    async def read() -> None:
        async with aclosing(link.generate(request(), call())) as events:
            async for _ in events:
                pass

    task = asyncio.create_task(read())
    await asyncio.wait_for(waiting.wait(), BOUND_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settled(upstream)


async def test_a_stream_that_nobody_reads_costs_nothing(topology: Topology, wrap: Wrapper) -> None:
    upstream = Scripted([started()])
    link = await topology.chain(wrap, terminal=upstream)
    await link.generate(request(), call()).aclose()
    assert upstream.calls == []


async def test_one_who_leaves_does_not_disturb_another(topology: Topology, wrap: Wrapper) -> None:
    gate = asyncio.Event()
    upstream = Scripted([started(), gate, delta("lorem ipsum "), asyncio.Event()])
    link = await topology.chain(wrap, terminal=upstream)
    # Different requests, so that a cache could not make one of them.
    leaving, staying = (link.generate(request(text), call()) for text in ("a", "b"))
    async with aclosing(staying):
        async with aclosing(leaving):
            await anext(leaving)
            await anext(staying)
        await settled_to(upstream, running=1)
        gate.set()
        async for event in staying:
            if event.HasField("delta"):
                break
    await settled_to(upstream, running=0)


async def settled_to(upstream: Scripted, running: int) -> None:
    async with asyncio.timeout(BOUND_S):
        while upstream.running > running:
            upstream.closed.clear()
            await upstream.closed.wait()
