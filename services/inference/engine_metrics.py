"""The figures of engines that run beside the link, for Prometheus, named as Triton's are."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.engine.figures import Figures
from services import telemetry

_LABELS = ("model",)


@dataclass(slots=True)
class EngineCollector(Collector):
    """Collects the figures of every engine in this process."""

    figures: dict[str, Figures] = field(default_factory=dict[str, Figures])
    """By model; the engines change them as they run."""

    def collect(self) -> Iterable[Metric]:
        """Give each figure, by model."""
        gauges = (
            (telemetry.ENGINE_RUNNING, "Sequences in the engine.", "running"),
            (telemetry.ENGINE_WAITING, "Requests that wait for a place.", "waiting"),
            (telemetry.ENGINE_KV_USAGE, "The share of KV cache in use.", "kv_cache_usage_ratio"),
        )
        counters = (
            (telemetry.ENGINE_TOKENS, "Tokens that the engine generated.", "generated_tokens"),
            (
                telemetry.ABANDONED_TOKENS,
                "Tokens generated after the caller had left, at most.",
                "abandoned_tokens",
            ),
        )
        for name, text, attribute in gauges:
            gauge = GaugeMetricFamily(name, text, labels=_LABELS)
            for model, figures in self.figures.items():
                gauge.add_metric([model], getattr(figures, attribute))
            yield gauge
        for name, text, attribute in counters:
            counter = CounterMetricFamily(name, text, labels=_LABELS)
            for model, figures in self.figures.items():
                counter.add_metric([model], getattr(figures, attribute))
            yield counter


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """Publishes the figures of one model."""

    model: str
    collector: EngineCollector

    def publish(self, figures: Figures) -> None:
        """Show the figures, now and as they change."""
        self.collector.figures[self.model] = figures
