"""The cache as a link: what it replays, what it stores, what it leaves alone."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

import pytest
from prometheus_client import CollectorRegistry

from catenary.config.v1.mesh_pb2 import CacheConfig
from catenary.v1 import decision_pb2, error_reason_pb2
from catenary.v1 import generation_pb2 as pb
from services import errors
from services.cache import Cache
from services.link import Link
from tests.conftest import Topology
from tests.fakes import (
    CONTENT_FILTER,
    LENGTH,
    STOP,
    TOOL_CALLS,
    UNSPECIFIED,
    Clock,
    Scripted,
    Step,
    answer,
    call,
    delta,
    finished,
    kinds,
    request,
    started,
    text_of,
)

Outcome = decision_pb2.CacheDecision
MIB = 1024 * 1024
POCKET_1 = {"pocket": 1}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cache(
    upstream: Link,
    clock: Clock | None = None,
    max_bytes: int = MIB,
    versions: Mapping[str, int] = POCKET_1,
) -> Cache:
    config = CacheConfig(max_bytes=max_bytes)
    config.ttl.FromSeconds(60)
    return Cache.configured(upstream, config, versions, CollectorRegistry(), clock or Clock())


def controlled(
    mode: pb.CacheControl.Mode.ValueType = pb.CacheControl.MODE_UNSPECIFIED, **fields: int
) -> pb.GenerateRequest:
    asked = request()
    asked.controls.cache.CopyFrom(pb.CacheControl(mode=mode, **fields))  # type: ignore[arg-type]
    return asked


async def read(link: Link, asked: pb.GenerateRequest, **parts: object) -> list[pb.GenerateResponse]:
    return [event async for event in link.generate(asked, call(**parts))]


def decision(events: list[pb.GenerateResponse]) -> decision_pb2.CacheDecision:
    [told] = [event.decision.cache for event in events if event.HasField("decision")]
    return told


async def test_the_second_time_is_replayed_as_it_came(topology: Topology) -> None:
    upstream, clock = Scripted(answer("a", "b", "c")), Clock()
    link = await topology.chain(lambda up: cache(up, clock), terminal=upstream)
    first = await read(link, request())
    clock.now += 2.5
    again = request()
    again.request_id = "r-2"
    second = await read(link, again, request_id="r-2")
    assert len(upstream.calls) == 1
    assert kinds(first) == kinds(second) == ["started", "decision", "delta", "finished"]
    assert text_of(second) == "abc"
    assert second[-1] == first[-1]
    assert second[0].started == pb.Started(request_id="r-2", model="pocket")
    assert decision(first).outcome == Outcome.OUTCOME_MISS
    hit = decision(second)
    assert (hit.outcome, hit.tier, hit.similarity) == (Outcome.OUTCOME_HIT, "exact", 1)
    assert hit.age.ToMilliseconds() == 2500


async def test_a_hit_has_the_deltas_of_the_original() -> None:
    link = cache(Scripted(answer("a", "b", "c")))
    first, second = await read(link, request()), await read(link, request())
    assert first[2:] == second[2:]
    assert len(second) == 6


async def test_tenants_do_not_share() -> None:
    upstream = Scripted(answer("a"))
    link = cache(upstream)
    await read(link, request(), tenant="a")
    assert decision(await read(link, request(), tenant="b")).outcome == Outcome.OUTCOME_MISS
    assert len(upstream.calls) == 2


@pytest.mark.parametrize(
    ("script", "stored"),
    [
        (answer("a"), True),
        ([started(), delta("a"), finished(LENGTH)], True),
        ([started(), delta("a"), finished(TOOL_CALLS)], True),
        ([started(), delta("a"), finished(CONTENT_FILTER)], False),
        ([started(), delta("a"), finished(STOP, CONTENT_FILTER)], False),
        ([started(), delta("a"), finished(UNSPECIFIED)], False),
        ([started(), delta("a")], False),
        ([started(), delta("x" * MIB), finished()], False),
        ([started(), *[delta("x" * 1000)] * 100, finished()], False),
    ],
    ids=[
        *("stop", "length", "tool calls", "filtered", "one choice filtered", "no reason"),
        *("unfinished", "one delta too large", "many deltas too large"),
    ],
)
async def test_only_what_finished_well_is_stored(script: list[Step], *, stored: bool) -> None:
    upstream = Scripted(script)
    link = cache(upstream)
    first, second = await read(link, request()), await read(link, request())
    assert len(upstream.calls) == (1 if stored else 2)
    assert first[2:] == second[2:]


async def test_a_failed_stream_is_not_stored() -> None:
    upstream = Scripted([started(), delta("a"), errors.upstream_failed("triton")])
    link = cache(upstream)
    for _ in range(2):
        with pytest.raises(errors.MeshError):
            await read(link, request())
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("taken", range(5))
async def test_a_caller_who_leaves_stores_nothing_before_the_end(taken: int) -> None:
    upstream = Scripted(answer("a"))
    link = cache(upstream)
    async with aclosing(link.generate(request(), call())) as events:
        for _ in range(taken):
            await anext(events)
    await read(link, request())
    # Started, decision, delta, finished: who has taken `finished` has all of it.
    leader_was_called = taken > 0
    assert len(upstream.calls) == (1 if taken == 4 else 1 + leader_was_called)


async def test_bypass_neither_reads_nor_writes() -> None:
    upstream = Scripted(answer("a"))
    link = cache(upstream)
    bypassed = controlled(pb.CacheControl.MODE_BYPASS)
    told = decision(await read(link, bypassed))
    assert (told.outcome, told.reason) == (Outcome.OUTCOME_BYPASS, "cache_control")
    assert decision(await read(link, request())).outcome == Outcome.OUTCOME_MISS
    await read(link, bypassed)
    assert len(upstream.calls) == 3


async def test_refresh_computes_again_and_replaces() -> None:
    upstream = Scripted(answer("old"))
    link = cache(upstream)
    await read(link, request())
    upstream.script = answer("new")
    assert text_of(await read(link, controlled(pb.CacheControl.MODE_REFRESH))) == "new"
    assert text_of(await read(link, request())) == "new"
    assert len(upstream.calls) == 2


async def test_only_if_cached_never_computes(topology: Topology) -> None:
    upstream = Scripted(answer("a"))
    link = await topology.chain(cache, terminal=upstream)
    only = controlled(pb.CacheControl.MODE_ONLY_IF_CACHED)
    with pytest.raises(errors.MeshError) as caught:
        await read(link, only)
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_CACHE_MISS
    assert upstream.calls == []
    await read(link, request())
    assert text_of(await read(link, only)) == "a"
    only.sampling.temperature = 1
    with pytest.raises(errors.MeshError):
        await read(link, only)
    assert len(upstream.calls) == 1


async def test_an_answer_older_than_the_caller_accepts_is_computed_again(clock: Clock) -> None:
    upstream = Scripted(answer("a"))
    link = cache(upstream, clock)
    await read(link, request())
    clock.now += 10
    assert decision(await read(link, controlled(max_age_s=10))).outcome == Outcome.OUTCOME_HIT
    clock.now += 1
    assert decision(await read(link, controlled(max_age_s=10))).outcome == Outcome.OUTCOME_MISS
    # Computing it again made it young.
    assert decision(await read(link, controlled(max_age_s=10))).outcome == Outcome.OUTCOME_HIT


async def test_an_answer_older_than_its_life_is_computed_again(clock: Clock) -> None:
    upstream = Scripted(answer("a"))
    link = cache(upstream, clock)
    await read(link, request())
    clock.now += 60
    assert decision(await read(link, request())).outcome == Outcome.OUTCOME_MISS


async def test_an_answer_of_a_version_that_is_to_serve_no_more_is_computed_again(
    topology: Topology,
) -> None:
    upstream, versions = Scripted(answer("old")), {"pocket": 1}
    link = await topology.chain(lambda up: cache(up, versions=versions), terminal=upstream)
    await read(link, request())
    assert text_of(await read(link, request())) == "old"
    # The new version is wanted, and the old one serves on until it is there.
    versions["pocket"] = 2
    for calls in (2, 3):
        assert decision(await read(link, request())).outcome == Outcome.OUTCOME_MISS
        assert len(upstream.calls) == calls
    last = finished()
    last.finished.served_version = 2
    upstream.script = [started(), delta("new"), last]
    await read(link, request())
    hit = await read(link, request())
    assert (decision(hit).outcome, text_of(hit)) == (Outcome.OUTCOME_HIT, "new")
    del versions["pocket"]
    assert decision(await read(link, request())).outcome == Outcome.OUTCOME_MISS


def _sampled() -> pb.GenerateRequest:
    asked = request()
    asked.sampling.temperature = 0.5
    return asked


def _seeded() -> pb.GenerateRequest:
    asked = _sampled()
    asked.sampling.seed = 0
    return asked


def _greedy() -> pb.GenerateRequest:
    asked = request()
    asked.sampling.temperature = 0
    return asked


def _continued() -> pb.GenerateRequest:
    asked = request()
    asked.continuation.text = "so far"
    return asked


@pytest.mark.parametrize(
    ("asked", "reason"),
    [(_sampled(), "sampled"), (_seeded(), ""), (_greedy(), ""), (_continued(), "continuation")],
    ids=["sampled", "seeded", "greedy", "continued"],
)
async def test_what_is_meant_to_differ_is_not_repeated(
    asked: pb.GenerateRequest, reason: str
) -> None:
    upstream = Scripted(answer("a"))
    link = cache(upstream)
    told = decision(await read(link, asked))
    assert told.reason == reason
    await read(link, asked)
    assert len(upstream.calls) == (2 if reason else 1)


async def test_no_memory_means_no_cache() -> None:
    upstream = Scripted(answer("a"))
    link = cache(upstream, max_bytes=0)
    assert decision(await read(link, request())).reason == "disabled"
    await read(link, request())
    assert len(upstream.calls) == 2


async def test_what_the_caller_changes_later_does_not_change_the_store() -> None:
    link = cache(Scripted(answer("a")))
    await read(link, request())
    hit = await read(link, request())
    hit[2].delta.text = "changed"
    assert text_of(await read(link, request())) == "a"


async def test_lookups_are_counted(registry: CollectorRegistry) -> None:
    config = CacheConfig(max_bytes=MIB)
    config.ttl.FromSeconds(60)
    link = Cache.configured(Scripted(answer("a")), config, POCKET_1, registry)
    for asked in (request(), request(), _sampled()):
        await read(link, asked)
    for outcome, reason in (("miss", ""), ("hit", ""), ("bypass", "sampled")):
        labels = {"outcome": outcome, "reason": reason}
        assert registry.get_sample_value("catenary_cache_lookups_total", labels) == 1


async def test_two_at_once_both_get_their_answer() -> None:
    gate = asyncio.Event()
    upstream = Scripted([started(), gate, delta("a"), finished()])
    link = cache(upstream)

    async def texts() -> AsyncIterator[str]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(link, request())) for _ in range(2)]
            gate.set()
        for task in tasks:
            yield text_of(task.result())

    assert [text async for text in texts()] == ["a", "a"]
