"""Names: all in one file, each with its unit."""

import re

from prometheus_client import CollectorRegistry

from catenary.config.v1.mesh_pb2 import CacheConfig, RouterConfig
from services import telemetry
from services.cache import Cache
from services.router import Router
from tests.fakes import Scripted
from tests.guarding import guarded

CLOSED_LABELS = {
    *("link", "operation", "model", "outcome", "reason", "direction"),
    *("detector", "category", "verdict", "profile", "cause", "backend", "policy", "le"),
}


def registered() -> CollectorRegistry:
    registry, terminal = CollectorRegistry(), Scripted([])
    telemetry.HopMetrics(registry)
    guarded(terminal, registry)
    Cache.configured(terminal, CacheConfig(), {}, registry)
    Router.configured(terminal, RouterConfig(), {"pocket"}, registry)
    return registry


def names() -> dict[str, str]:
    return {
        name: value
        for name, value in vars(telemetry).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_")
    }


def test_a_metric_is_named_as_prometheus_wants_it() -> None:
    for metric in registered().collect():
        assert re.fullmatch(r"catenary_[a-z]+(_[a-z]+)*", metric.name), metric.name
        assert metric.documentation.endswith("."), metric.name
        # The client adds `_total` to counters; nothing else may look like one.
        assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
        if metric.type == "histogram":
            assert metric.name.endswith(("_seconds", "_tokens")), metric.name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mib|percent)(_|$)", metric.name)


def test_every_metric_is_a_constant() -> None:
    constants = set(names().values())
    assert {metric.name for metric in registered().collect()} <= constants


def test_a_name_stands_for_one_thing() -> None:
    values = [value for value in names().values() if "." in value or value.startswith("catenary_")]
    assert len(values) == len(set(values))


def test_labels_are_few_and_closed() -> None:
    for collector in registered()._collector_to_names:
        assert set(collector._labelnames) <= CLOSED_LABELS  # type: ignore[attr-defined]


def test_attributes_are_the_conventions_or_our_own() -> None:
    for name, value in names().items():
        if name.startswith("GEN_AI_"):
            assert value.startswith("gen_ai.")
        if name.startswith("MESH_"):
            assert value.startswith("mesh.")
