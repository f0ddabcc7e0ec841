"""What the engine counts, in Triton's own metrics."""

# Triton adds the rest of `triton_python_backend_utils` after it has imported this module.
from __future__ import annotations

from collections import Counter

import triton_python_backend_utils as pb_utils

from infra.engine.failure import Reason
from infra.engine.figures import COUNTERS, FAILURES, GAUGES, Figures, Metric


class EngineMetrics:
    """The figures of one model. Each change is a call to Triton: they are set now and then."""

    def __init__(self, model: str) -> None:
        self._labels = {"model": model}
        self._families = {
            **{each.attribute: _gauge(each) for each in GAUGES},
            **{each.attribute: _counter(each) for each in (*COUNTERS, FAILURES)},
        }
        self._metrics: dict[tuple[str, str], pb_utils.Metric] = {}
        self._published: Counter[tuple[str, str]] = Counter()

    def publish(self, figures: Figures) -> None:
        """Hand the figures to Triton."""
        for gauge in GAUGES:
            self._metric(gauge.attribute).set(getattr(figures, gauge.attribute))
        for counter in COUNTERS:
            value = getattr(figures, counter.attribute)
            if value is not None:
                self._count(counter.attribute, value)
        for reason, value in figures.failures.items():
            self._count(FAILURES.attribute, value, reason)

    def withdraw(self) -> None:
        """Take the figures out of Triton, which shows them for as long as their families live.

        Those that are left when Triton ends its stub are shown until Triton itself ends.
        """
        self._metrics.clear()
        self._families.clear()

    def _count(self, attribute: str, value: int, reason: Reason | None = None) -> None:
        key = (attribute, reason or "")
        self._metric(attribute, reason).increment(value - self._published[key])
        self._published[key] = value

    def _metric(self, attribute: str, reason: Reason | None = None) -> pb_utils.Metric:
        key = (attribute, reason or "")
        if key not in self._metrics:
            further = {} if reason is None else {"reason": str(reason)}
            self._metrics[key] = self._families[attribute].Metric(labels=self._labels | further)
        return self._metrics[key]


def _gauge(metric: Metric) -> pb_utils.MetricFamily:
    return _family(metric.name, metric, pb_utils.MetricFamily.GAUGE)


def _counter(metric: Metric) -> pb_utils.MetricFamily:
    return _family(f"{metric.name}_total", metric, pb_utils.MetricFamily.COUNTER)


def _family(name: str, metric: Metric, kind: int) -> pb_utils.MetricFamily:
    return pb_utils.MetricFamily(name=name, description=metric.text, kind=kind)
