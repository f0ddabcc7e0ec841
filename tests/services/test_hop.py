"""What a hop counts."""

import asyncio
from contextlib import aclosing

import pytest
from prometheus_client import CollectorRegistry

from services import errors
from services.hop import Hop
from services.telemetry import HopMetrics
from services.tracing import Tracing
from tests.fakes import Scripted, Step, answer, call, delta, finished, outcome, request, started

IN_CACHE = {"link": "cache", "model": "pocket"}


def hop(upstream: Scripted, registry: CollectorRegistry) -> Hop:
    return Hop("cache", upstream, HopMetrics(registry), Tracing(), {"pocket"})


def requests(registry: CollectorRegistry, model: str, ended: str, reason: str) -> float | None:
    labels = {"link": "cache", "model": model, "outcome": ended, "reason": reason}
    return registry.get_sample_value("catenary_requests_total", labels)


@pytest.mark.parametrize(
    ("script", "ended", "reason"),
    [
        (answer("a"), "ok", ""),
        ([started(), errors.queue_full("pocket", 1)], "error", "QUEUE_FULL"),
        ([started(), RuntimeError("defect")], "error", "INTERNAL"),
        ([started()], "error", "STREAM_BROKEN"),
    ],
    ids=["ok", "error", "defect", "broken"],
)
async def test_a_request_is_counted_once_by_how_it_ended(
    registry: CollectorRegistry, script: list[Step], ended: str, reason: str
) -> None:
    await outcome(hop(Scripted(script), registry), request(), call())
    assert requests(registry, "pocket", ended, reason) == 1
    assert registry.get_sample_value("catenary_requests_in_flight", IN_CACHE) == 0
    labels = {"link": "cache", "model": "pocket"}
    assert registry.get_sample_value("catenary_request_duration_seconds_count", labels) == 1


@pytest.mark.parametrize(("take", "ended"), [(1, "cancelled"), (2, "cancelled"), (3, "ok")])
async def test_a_caller_who_leaves_is_neither_success_nor_error(
    registry: CollectorRegistry, take: int, ended: str
) -> None:
    link = hop(Scripted(answer("a")), registry)
    await outcome(link, request(), call(), take)
    assert requests(registry, "pocket", ended, "") == 1


async def test_a_request_in_flight_is_seen(registry: CollectorRegistry) -> None:
    link = hop(Scripted([started(), asyncio.Event()]), registry)
    async with aclosing(link.generate(request(), call())) as events:
        await anext(events)
        assert registry.get_sample_value("catenary_requests_in_flight", IN_CACHE) == 1


async def test_tokens_and_gaps_are_counted(registry: CollectorRegistry) -> None:
    script: list[Step] = [
        started(),
        delta("a"),
        delta("b", output_tokens=4),
        delta("c"),
        finished(input_tokens=7, output_tokens=6),
    ]
    await outcome(hop(Scripted(script), registry), request(), call())
    labels = {"link": "cache", "model": "pocket"}
    for direction, tokens in (("input", 7), ("output", 6)):
        told = registry.get_sample_value(
            "catenary_tokens_total", {**labels, "direction": direction}
        )
        assert told == tokens
    first, gaps = "catenary_time_to_first_token_seconds", "catenary_inter_token_latency_seconds"
    assert registry.get_sample_value(f"{first}_count", labels) == 1
    assert registry.get_sample_value(f"{gaps}_count", labels) == 2


async def test_a_name_that_nobody_serves_is_no_label(registry: CollectorRegistry) -> None:
    link = hop(Scripted(answer("a")), registry)
    for name in ("gpt-7", "x" * 200):
        await outcome(link, request(model=name), call())
    assert requests(registry, "unknown", "ok", "") == 2
    models = {
        sample.labels.get("model", "") for metric in registry.collect() for sample in metric.samples
    }
    assert models == {"unknown"}
