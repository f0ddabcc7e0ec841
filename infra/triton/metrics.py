"""What the engine counts, in Triton's own metrics."""

# Triton adds the rest of `triton_python_backend_utils` after it has imported this module.
from __future__ import annotations

from dataclasses import replace

import triton_python_backend_utils as pb_utils

from infra.engine.figures import Figures
from services import telemetry


class EngineMetrics:
    """The figures of one model. Each change is a call to Triton: they are set now and then."""

    def __init__(self, model: str) -> None:
        labels = {"model": model}

        def metric(name: str, text: str, kind: int) -> pb_utils.Metric:
            family = pb_utils.MetricFamily(name=name, description=text, kind=kind)
            # A metric whose family is gone is gone too.
            self._families.append(family)
            return family.Metric(labels=labels)

        self._families: list[pb_utils.MetricFamily] = []
        gauge, counter = pb_utils.MetricFamily.GAUGE, pb_utils.MetricFamily.COUNTER
        self._running = metric(telemetry.ENGINE_RUNNING, "Sequences in the engine.", gauge)
        self._waiting = metric(telemetry.ENGINE_WAITING, "Requests that wait for a place.", gauge)
        self._usage = metric(telemetry.ENGINE_KV_USAGE, "The share of KV cache in use.", gauge)
        self._tokens = metric(
            f"{telemetry.ENGINE_TOKENS}_total", "Tokens that the engine generated.", counter
        )
        self._abandoned = metric(
            f"{telemetry.ABANDONED_TOKENS}_total",
            "Tokens generated after the caller had left, at most.",
            counter,
        )
        self._published = Figures()

    def publish(self, figures: Figures) -> None:
        """Hand the figures to Triton."""
        self._running.set(figures.running)
        self._waiting.set(figures.waiting)
        self._usage.set(figures.kv_cache_usage_ratio)
        before, self._published = self._published, replace(figures)
        self._tokens.increment(figures.generated_tokens - before.generated_tokens)
        self._abandoned.increment(figures.abandoned_tokens - before.abandoned_tokens)
