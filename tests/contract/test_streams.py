"""What every link must do with a stream: pass it on in its grammar, in every topology."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.v1 import error_reason_pb2
from catenary.v1 import generation_pb2 as pb
from services import errors
from services.chain import Wrapper
from tests.conftest import Topology
from tests.contract.links import WRAPPERS
from tests.fakes import (
    Scripted,
    Step,
    answer,
    call,
    delta,
    finished,
    inference_decision,
    kinds,
    outcome,
    request,
    started,
    text_of,
)

TOPOLOGIES = pytest.mark.parametrize("loopback", [False, True], ids=["in_process", "loopback"])
FAILURE = errors.queue_full("pocket", 2.5)
MIDDLES = st.lists(
    st.one_of(
        st.text("ab", max_size=3).map(delta),
        st.just(inference_decision()),
        st.just("pause"),
    ),
    max_size=8,
)
ENDS = st.sampled_from([finished(), FAILURE, "cut", RuntimeError("a defect")])


def playable(middle: Sequence[object], end: object) -> list[Step]:
    """Turn drawn steps into a script; a pause lets every other task run."""
    steps: list[Step] = [started()]
    for step in middle:
        if step == "pause":
            gate = asyncio.Event()
            asyncio.get_running_loop().call_soon(gate.set)
            steps.append(gate)
        else:
            steps.append(step)  # type: ignore[arg-type]
    return steps if end == "cut" else [*steps, end]  # type: ignore[list-item]


@TOPOLOGIES
@pytest.mark.parametrize("name", WRAPPERS)
@settings(max_examples=25, deadline=None)
@given(middle=MIDDLES, end=ENDS, take=st.integers(0, 12))
async def test_the_grammar_holds_for_any_script(
    name: str, middle: list[object], end: object, take: int, *, loopback: bool
) -> None:
    topology = Topology(loopback)
    async with topology.closing:
        upstream = Scripted(playable(middle, end))
        link = await topology.chain(WRAPPERS[name], terminal=upstream)
        events, error = await outcome(link, request(), call(), take)
        if isinstance(error, errors.MeshError):
            assert error.reason == {
                "cut": error_reason_pb2.ERROR_REASON_STREAM_BROKEN,
                FAILURE: FAILURE.reason,
            }.get(end, error_reason_pb2.ERROR_REASON_INTERNAL)
        elif error is not None:
            assert error is end
        else:
            assert len(events) == take or kinds(events)[-1] == "finished"
        whole = kinds(events)
        assert whole[:1] in ([], ["started"])
        assert whole.count("started") <= 1
        assert "finished" not in whole[:-1]
        sent = text_of([step for step in middle if isinstance(step, pb.GenerateResponse)])
        assert sent.startswith(text_of(events))
        if upstream.calls:
            await asyncio.wait_for(upstream.closed.wait(), 5)
            assert upstream.running == 0


async def test_an_answer_arrives_whole(topology: Topology, wrap: Wrapper) -> None:
    script = answer(*"an answer in many pieces, none of them lost")
    link = await topology.chain(wrap, terminal=Scripted(script))
    events = [event async for event in link.generate(request(), call())]
    plain = [event for event in events if not event.HasField("decision")]
    assert kinds(plain) == ["started", "delta", "finished"]
    assert text_of(events) == "an answer in many pieces, none of them lost"
    assert sum(event.delta.output_tokens for event in events) == 43
    assert events[0] == script[0]
    assert events[-1] == script[-1]


async def test_the_first_event_does_not_wait_for_the_second(
    topology: Topology, wrap: Wrapper
) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    script: list[Step] = [started(), gates[0], delta("lorem ipsum "), gates[1], finished()]
    link = await topology.chain(wrap, terminal=Scripted(script))
    async with asyncio.timeout(10), aclosing(link.generate(request(), call())) as events:
        assert kinds([await anext(events)]) == ["started"]
        gates[0].set()
        async for event in events:
            if event.HasField("delta"):
                gates[1].set()
    assert gates[1].is_set()


async def test_a_link_changes_no_request(topology: Topology, wrap: Wrapper) -> None:
    asked = request()
    asked.sampling.seed = 7
    asked.controls.routing.session = "s"
    before = asked.SerializeToString(deterministic=True)
    upstream = Scripted(answer("x"))
    link = await topology.chain(wrap, terminal=upstream)
    _ = [event async for event in link.generate(asked, call())]
    assert asked.SerializeToString(deterministic=True) == before
    assert upstream.requests == [asked]


@pytest.mark.parametrize(
    "script",
    [
        [],
        [started()],
        [started(), delta("lorem ipsum ")],
        [delta("lorem ipsum "), finished()],
        [inference_decision(), started(), finished()],
        [started(), started(), finished()],
        [finished()],
        [started(), finished(), finished()],
        [started(), finished(), delta("lorem ipsum ")],
    ],
    ids=[
        *("nothing", "only started", "no end", "no beginning", "a decision first"),
        *("two beginnings", "only an end", "two ends", "more after the end"),
    ],
)
async def test_a_broken_stream_is_an_error(
    topology: Topology, wrap: Wrapper, script: list[Step]
) -> None:
    link = await topology.chain(wrap, terminal=Scripted(script))
    asked = request()
    asked.controls.include_decisions = True
    with pytest.raises(errors.MeshError) as caught:
        _ = [event async for event in link.generate(asked, call())]
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_STREAM_BROKEN


async def test_a_slow_reader_slows_the_engine(topology: Topology, wrap: Wrapper) -> None:
    ahead = 4096
    upstream = Scripted([started(), *[delta("x" * 16384)] * ahead, finished()])
    too_far = asyncio.Event()

    class Watched:
        async def generate(self, asked: pb.GenerateRequest, caller: object) -> object:
            async with aclosing(upstream.generate(asked, caller)) as events:  # type: ignore[arg-type]
                async for event in events:
                    yield event
                    if upstream.given >= ahead // 2:
                        too_far.set()

    link = await topology.chain(wrap, terminal=Watched())  # type: ignore[arg-type]
    async with aclosing(link.generate(request(), call())) as events:
        await anext(events)
        # Nothing is waited for here but what must not happen: half of 64 MiB read ahead.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(too_far.wait(), 0.3)
