"""What is counted has labels from closed lists, and not too many of them."""

from prometheus_client import CollectorRegistry

from catenary.v1.decision_pb2 import VERDICT_ALLOW, VERDICT_BLOCK, Finding
from services.safety.metrics import INPUT, SafetyMetrics

FOUND = "catenary_safety_findings"


def series(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    return {
        (sample.labels["category"], sample.labels["verdict"], sample.labels["profile"]): (
            sample.value
        )
        for metric in registry.collect()
        if metric.name == FOUND
        for sample in metric.samples
        if sample.name == f"{FOUND}_total"
    }


def test_findings_are_counted_by_what_they_are_and_what_was_done(
    registry: CollectorRegistry,
) -> None:
    metrics = SafetyMetrics(registry)
    blocked = Finding(detector="deny", category="phrase", verdict=VERDICT_BLOCK, count=2)
    dry = Finding(
        detector="deny", category="phrase", verdict=VERDICT_ALLOW, would=VERDICT_BLOCK, count=1
    )
    for _ in range(2):
        metrics.found([blocked, dry], INPUT, "own")
    assert series(registry) == {
        ("phrase", "block", "own"): 4,
        ("phrase", "would_block", "own"): 2,
    }


def test_there_are_only_so_many_series(registry: CollectorRegistry) -> None:
    metrics = SafetyMetrics(registry)
    for number in range(3000):
        found = Finding(detector="topics", category=f"c{number}", verdict=VERDICT_BLOCK, count=1)
        metrics.found([found], INPUT, "own")
    told = series(registry)
    assert len(told) == 2001
    assert sum(told.values()) == 3000
    assert told["other", "block", "own"] == 1000
