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
        self._gauges = [
            (gauge.attribute, _family(gauge.name, gauge, pb_utils.MetricFamily.GAUGE))
            for gauge in GAUGES
        ]
        self._counters = [(counter.attribute, _counter(counter)) for counter in COUNTERS]
        self._failures = _counter(FAILURES)
        self._metrics: dict[tuple[str, str], pb_utils.Metric] = {}
        self._published: Counter[tuple[str, str]] = Counter()

    def publish(self, figures: Figures) -> None:
        """Hand the figures to Triton."""
        for attribute, family in self._gauges:
            self._metric(attribute, family).set(getattr(figures, attribute))
        for attribute, family in self._counters:
            value = getattr(figures, attribute)
            if value is not None:
                self._count(attribute, family, value)
        for reason, value in figures.failures.items():
            self._count("failures", self._failures, value, reason)

    def _count(
        self,
        attribute: str,
        family: pb_utils.MetricFamily,
        value: int,
        reason: Reason | None = None,
    ) -> None:
        key = (attribute, reason or "")
        self._metric(attribute, family, reason).increment(value - self._published[key])
        self._published[key] = value

    def _metric(
        self, attribute: str, family: pb_utils.MetricFamily, reason: Reason | None = None
    ) -> pb_utils.Metric:
        key = (attribute, reason or "")
        if key not in self._metrics:
            further = {} if reason is None else {"reason": str(reason)}
            self._metrics[key] = family.Metric(labels=self._labels | further)
        return self._metrics[key]


def _counter(metric: Metric) -> pb_utils.MetricFamily:
    return _family(f"{metric.name}_total", metric, pb_utils.MetricFamily.COUNTER)


def _family(name: str, metric: Metric, kind: int) -> pb_utils.MetricFamily:
    return pb_utils.MetricFamily(name=name, description=metric.text, kind=kind)
