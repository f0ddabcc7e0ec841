"""The store: bounded in bytes and in time."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.cache.metrics import CacheMetrics
from services.cache.store import Store
from tests.fakes import Clock


def store(registry: CollectorRegistry, max_bytes: int = 10_000, ttl_s: float = 10) -> Store:
    return Store(max_bytes, ttl_s, Clock(), CacheMetrics(registry))


def test_the_least_recently_used_leaves_first(registry: CollectorRegistry) -> None:
    kept = store(registry, max_bytes=3 * 800)
    for name in (b"a", b"b", b"c"):
        kept.put(name, [b"x" * 100])
    assert kept.get(b"a") is not None
    kept.put(b"d", [b"x" * 100])
    assert [kept.get(name) is not None for name in (b"a", b"b", b"c", b"d")] == [
        *(True, False, True, True)
    ]
    labels = {"cause": "capacity"}
    assert registry.get_sample_value("catenary_cache_evictions_total", labels) == 1
    assert registry.get_sample_value("catenary_cache_entries") == 3


def test_an_answer_lives_for_its_time(registry: CollectorRegistry) -> None:
    clock = Clock()
    kept = Store(10_000, 10, clock, CacheMetrics(registry))
    kept.put(b"a", [b"x"])
    clock.now += 9.9
    entry = kept.get(b"a")
    assert entry is not None
    assert round(kept.age_s(entry), 6) == 9.9
    clock.now += 0.1
    assert kept.get(b"a") is None
    assert registry.get_sample_value("catenary_cache_entries") == 0
    assert registry.get_sample_value("catenary_cache_size_bytes") == 0


def test_a_new_answer_replaces_the_old(registry: CollectorRegistry) -> None:
    kept = store(registry)
    kept.put(b"a", [b"old"])
    size = registry.get_sample_value("catenary_cache_size_bytes")
    kept.put(b"a", [b"new"])
    entry = kept.get(b"a")
    assert entry is not None
    assert entry.events == [b"new"]
    assert registry.get_sample_value("catenary_cache_size_bytes") == size


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2000)), max_size=60))
def test_the_limit_holds_whatever_is_stored(puts: list[tuple[int, int]]) -> None:
    registry = CollectorRegistry()
    kept = store(registry, max_bytes=5_000)
    for name, size in puts:
        kept.put(bytes([name]), [b"x" * size])
        stored = registry.get_sample_value("catenary_cache_size_bytes")
        assert stored is not None
        assert stored <= 5_000


def test_the_bytes_counted_are_the_bytes_taken(registry: CollectorRegistry) -> None:
    kept = store(registry, max_bytes=100_000_000)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(2_000):
        name = number.to_bytes(32, "big")
        kept.put(name, tuple(bytes([number % 256]) * 30 for _ in range(20)))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    counted = registry.get_sample_value("catenary_cache_size_bytes")
    assert counted is not None
    taken = after - before
    assert 0.8 * counted <= taken <= 1.05 * counted
