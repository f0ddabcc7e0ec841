import asyncio
import time
from contextlib import aclosing

import pytest

from catenary.v1 import decision_pb2
from catenary.v1 import error_reason_pb2 as reasons
from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError, prompt_blocked, queue_full
from services.gateway.ledger import Ledger
from services.link import Call, Events, Link
from tests.conftest import Topology
from tests.fakes import (
    Scripted,
    answer,
    call,
    delta,
    finished,
    inference_decision,
    kinds,
    started,
    text_of,
)
from tests.fakes import request as a_request
from tests.gateway.parts import gateway

WITH_DECISIONS = [started(), delta("hi"), inference_decision(), finished()]


async def read(link: Link, request: pb.GenerateRequest, of: Call) -> list[pb.GenerateResponse]:
    async with aclosing(link.generate(request, of)) as events:
        return [event async for event in events]


async def error_of(link: Link, request: pb.GenerateRequest, of: Call) -> MeshError:
    with pytest.raises(MeshError) as caught:
        await read(link, request, of)
    return caught.value


async def test_its_decision_follows_started_for_a_caller_who_asked(topology: Topology) -> None:
    link = await topology.chain(gateway, terminal=Scripted(WITH_DECISIONS))
    request = a_request()
    request.controls.include_decisions = True
    events = await read(link, request, call())
    assert kinds(events) == ["started", "decision", "delta", "decision", "finished"]
    assert events[1].decision.gateway.tenant == "default"
    assert events[1].decision.gateway.key_id == ""
    assert events[3].decision.WhichOneof("link") == "inference"


async def test_nobody_else_sees_decisions(topology: Topology) -> None:
    link = await topology.chain(Ledger, gateway, terminal=Scripted(WITH_DECISIONS))
    events = await read(link, a_request(), call())
    assert kinds(events) == ["started", "delta", "finished"]
    assert text_of(events) == "hi"


BLOCKED = decision_pb2.Decision(
    safety=decision_pb2.SafetyDecision(profile="own", verdict=decision_pb2.VERDICT_BLOCK)
)


def blocked() -> MeshError:
    error = prompt_blocked("deny", "phrase")
    error.decisions = (BLOCKED,)
    return error


async def test_an_error_tells_what_was_decided_to_a_caller_who_asked(topology: Topology) -> None:
    link = await topology.chain(Ledger, gateway, terminal=Scripted([blocked()]))
    request = a_request()
    request.controls.include_decisions = True
    told = (await error_of(link, request, call())).decisions
    assert [decision.WhichOneof("link") for decision in told] == ["gateway", "safety"]
    assert told[1] == BLOCKED


async def test_nobody_else_is_told_what_was_decided_by_an_error(topology: Topology) -> None:
    link = await topology.chain(Ledger, gateway, terminal=Scripted([blocked()]))
    assert not (await error_of(link, a_request(), call())).decisions


async def test_an_error_that_several_callers_wait_for_is_each_ones_own() -> None:
    shared = blocked()
    link = gateway(Scripted([shared]))
    for _ in range(2):
        told = (await error_of(link, a_request(), call())).decisions
        assert [decision.WhichOneof("link") for decision in told] == ["gateway", "safety"]
    assert shared.decisions == (BLOCKED,)


async def test_what_a_caller_claims_to_be_is_not_believed(topology: Topology) -> None:
    upstream = Scripted(answer("hi"))
    link = await topology.chain(gateway, terminal=upstream)
    claim = call(tenant="other", key_id="root", scopes=frozenset({"admin"}))
    await read(link, a_request(), claim)
    seen = upstream.calls[0]
    assert (seen.tenant, seen.key_id, seen.scopes) == ("default", "", frozenset())


@pytest.mark.parametrize(
    ("in_request", "in_call", "expected"),
    [
        ("mine", "other", "mine"),
        ("", "from-call", "from-call"),
        ("", "two words", None),
        ("", "", None),
    ],
)
async def test_a_request_has_an_id(in_request: str, in_call: str, expected: str | None) -> None:
    upstream = Scripted(answer("hi"))
    request = a_request()
    request.request_id = in_request
    await read(gateway(upstream), request, call(request_id=in_call))
    seen = upstream.requests[0].request_id
    assert seen == upstream.calls[0].request_id
    assert seen == expected or (expected is None and len(seen) == 32)
    assert request.request_id == in_request


async def test_a_call_without_a_deadline_gets_the_configured_one() -> None:
    upstream = Scripted(answer("hi"))
    await read(gateway(upstream), a_request(), call())
    remaining_s = upstream.calls[0].time_remaining()
    assert remaining_s is not None
    assert 590 < remaining_s <= 600


async def test_a_deadline_in_the_past_fails_at_once() -> None:
    upstream = Scripted(answer("hi"))
    past = call(deadline=time.monotonic() - 1)
    error = await error_of(gateway(upstream), a_request(), past)
    assert error.reason == reasons.ERROR_REASON_DEADLINE_EXCEEDED
    assert upstream.calls == []


async def test_a_deadline_ends_a_stream_that_stalls(topology: Topology) -> None:
    upstream = Scripted([started(), delta("hi"), asyncio.Event()])
    link = await topology.chain(gateway, terminal=upstream)
    error = await error_of(link, a_request(), call(deadline=time.monotonic() + 0.05))
    assert error.reason == reasons.ERROR_REASON_DEADLINE_EXCEEDED
    await upstream.closed.wait()


async def test_a_deadline_ends_a_stream_whose_reader_stalls() -> None:
    upstream = Scripted(answer("a", "b", "c"))
    soon = call(deadline=time.monotonic() + 0.01)
    async with aclosing(gateway(upstream).generate(a_request(), soon)) as events:
        assert [(await anext(events)).WhichOneof("event") for _ in range(2)] == [
            "started",
            "decision",
        ]
        await asyncio.sleep(0.02)
        with pytest.raises(MeshError) as caught:
            await anext(events)
    assert caught.value.reason == reasons.ERROR_REASON_DEADLINE_EXCEEDED
    assert upstream.running == 0


async def test_a_cancelled_task_stays_cancelled() -> None:
    upstream = Scripted([started(), asyncio.Event()])
    reached = asyncio.Event()

    async def read_on() -> None:
        async with aclosing(gateway(upstream).generate(a_request(), call())) as events:
            async for _ in events:
                reached.set()

    reader = asyncio.create_task(read_on())
    await reached.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert upstream.running == 0


async def test_more_calls_than_places_are_refused_until_one_ends() -> None:
    upstream = Scripted(answer("hi"))
    link = gateway(upstream, max_calls=1)
    async with aclosing(link.generate(a_request(), call())) as first:
        await anext(first)
        error = await error_of(link, a_request(), call())
        assert error.reason == reasons.ERROR_REASON_OVERLOADED
        assert error.metadata == {"link": "gateway"}
        assert error.retry_after_s == 1.0
    assert kinds(await read(link, a_request(), call())) == [
        "started",
        "decision",
        "delta",
        "finished",
    ]


async def test_an_error_frees_the_place_and_passes_unchanged() -> None:
    link = gateway(Scripted([started(), queue_full("pocket", 2.5)]), max_calls=1)
    for _ in range(2):
        error = await error_of(link, a_request(), call())
        assert error.reason == reasons.ERROR_REASON_QUEUE_FULL
        assert error.retry_after_s == 2.5


@pytest.mark.parametrize("taken", [1, 2])
async def test_a_caller_who_leaves_closes_the_upstream(topology: Topology, taken: int) -> None:
    upstream = Scripted([*answer("a", "b")[:-1], asyncio.Event()])
    link = await topology.chain(gateway, terminal=upstream)
    events: Events = link.generate(a_request(), call())
    async with aclosing(events):
        for _ in range(taken):
            await anext(events)
    await upstream.closed.wait()
    assert upstream.running == 0
