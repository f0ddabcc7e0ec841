"""What the cache counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from services import telemetry


class CacheMetrics:
    """Lookups, and what is stored."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lookups = Counter(
            telemetry.CACHE_LOOKUPS,
            "Requests by what the cache did (hit, miss, bypass), and why it was bypassed.",
            ("outcome", "reason"),
            registry=registry,
        )
        self.evictions = Counter(
            telemetry.CACHE_EVICTIONS,
            "Answers that left, by cause (capacity, expired, replaced, outdated).",
            ("cause",),
            registry=registry,
        )
        self.entries = Gauge(telemetry.CACHE_ENTRIES, "Answers stored.", registry=registry)
        self.size = Gauge(
            telemetry.CACHE_BYTES, "Memory that the answers stored take.", registry=registry
        )
