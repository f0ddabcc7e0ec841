"""The figures of engines that run beside the link, for Prometheus, named as Triton's are."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.engine.figures import COUNTERS, FAILURES, GAUGES, Figures

_LABELS = ("model",)


@dataclass(slots=True, eq=False)
class EngineCollector(Collector):
    """Collects the figures of every engine in this process."""

    figures: dict[str, Figures] = field(default_factory=dict[str, Figures])
    """By model; the engines change them as they run."""

    def collect(self) -> Iterable[Metric]:
        """Give each figure, by model."""
        for figure in GAUGES:
            gauge = GaugeMetricFamily(figure.name, figure.text, labels=_LABELS)
            for model, figures in self.figures.items():
                gauge.add_metric([model], getattr(figures, figure.attribute))
            yield gauge
        for figure in COUNTERS:
            counter = CounterMetricFamily(figure.name, figure.text, labels=_LABELS)
            for model, figures in self.figures.items():
                value = getattr(figures, figure.attribute)
                if value is not None:
                    counter.add_metric([model], value)
            yield counter
        failures = CounterMetricFamily(FAILURES.name, FAILURES.text, labels=(*_LABELS, "reason"))
        for model, figures in self.figures.items():
            for reason, value in figures.failures.items():
                failures.add_metric([model, reason], value)
        yield failures


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """Publishes the figures of one model."""

    model: str
    collector: EngineCollector

    def publish(self, figures: Figures) -> None:
        """Show the figures, now and as they change."""
        self.collector.figures[self.model] = figures
