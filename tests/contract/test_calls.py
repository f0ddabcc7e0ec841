"""What travels beside a request: who calls, the deadline, the trace."""

import asyncio
import time

import pytest

from catenary.v1 import error_reason_pb2
from services import errors
from services.chain import Wrapper
from tests.conftest import Topology
from tests.contract import links
from tests.fakes import Scripted, answer, call, outcome, request, started

TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "vendor=value",
}
INNER = [links.safety, links.denying_safety, links.cache, links.router]


@pytest.mark.parametrize("inner", INNER, ids=lambda wrapper: wrapper.__name__)
async def test_who_calls_crosses_every_hop(topology: Topology, inner: Wrapper) -> None:
    upstream = Scripted(answer("x"))
    link = await topology.chain(inner, terminal=upstream)
    sent = call(tenant="acme", key_id="k-7", scopes=frozenset({"chat", "admin"}), trace=TRACE)
    _ = [event async for event in link.generate(request(), sent)]
    assert upstream.calls == [sent]


async def test_the_deadline_is_one_budget_for_the_chain(topology: Topology, wrap: Wrapper) -> None:
    upstream = Scripted(answer("x"))
    link = await topology.chain(wrap, terminal=upstream)
    deadline = time.monotonic() + 60
    _ = [event async for event in link.generate(request(), call(deadline=deadline))]
    arrived = upstream.calls[0].deadline
    assert arrived is not None
    # gRPC sends what is left as a span of time: hops may only shorten it by what they took.
    assert deadline - 5 < arrived < deadline + 1


@pytest.mark.parametrize("inner", INNER, ids=lambda wrapper: wrapper.__name__)
@pytest.mark.parametrize("budget_s", [-1, 0, 0.05])
async def test_a_deadline_that_passes_ends_the_whole_chain(
    topology: Topology, inner: Wrapper, budget_s: float
) -> None:
    upstream = Scripted([started(), asyncio.Event()])
    link = await topology.chain(links.gateway, inner, terminal=upstream)
    late = call(deadline=time.monotonic() + budget_s)
    async with asyncio.timeout(10):
        _, error = await outcome(link, request(), late)
    assert isinstance(error, errors.MeshError)
    assert error.reason == error_reason_pb2.ERROR_REASON_DEADLINE_EXCEEDED
    assert error.message == errors.deadline_exceeded().message
    if upstream.calls:
        await asyncio.wait_for(upstream.closed.wait(), 5)
        assert upstream.running == 0
