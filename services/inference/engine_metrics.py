"""The figures of engines that run beside the link, for Prometheus, named as Triton's are."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.engine.figures import COUNTERS, FAILURES, GAUGES, QUEUE_GAUGES, Figures

_LABELS = ("model",)


class Queue(Protocol):
    """The queue of an embedding model."""

    running: int
    """Texts that are computed now."""
    running_tokens: int
    waiting_tokens: int
    """Of the texts that wait."""

    @property
    def waiting(self) -> int:
        """Callers whose texts wait."""
        ...


@dataclass(slots=True, eq=False)
class EngineCollector(Collector):
    """Collects the figures of every engine in this process."""

    figures: dict[str, Figures] = field(default_factory=dict[str, Figures])
    """By model; the engines change them as they run."""
    queues: dict[str, Queue] = field(default_factory=dict[str, Queue])
    """Those of embedding models, which have no more to tell; by model."""

    def collect(self) -> Iterable[Metric]:
        """Give each figure, by model."""
        for figure in GAUGES:
            gauge = GaugeMetricFamily(figure.name, figure.text, labels=_LABELS)
            for model, figures in self.figures.items():
                gauge.add_metric([model], getattr(figures, figure.attribute))
            if figure in QUEUE_GAUGES:
                for model, queue in self.queues.items():
                    gauge.add_metric([model], getattr(queue, figure.attribute))
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


@dataclass(slots=True)
class ModelFigures:
    """Publishes the figures of one version of a model."""

    model: str
    collector: EngineCollector
    _published: Figures | None = None

    def publish(self, figures: Figures) -> None:
        """Show the figures, now and as they change."""
        self.collector.figures[self.model] = self._published = figures

    def withdraw(self) -> None:
        """Show them no more; those of the version that came after it stay."""
        if self.collector.figures.get(self.model) is self._published:
            self.collector.figures.pop(self.model, None)
