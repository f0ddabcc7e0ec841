"""How busy this link's engines are, as ORCA load reports, which Envoy and the router balance by.

A report travels in the trailing metadata of every call. Envoy's client-side weighted round robin
gives a replica calls in proportion to `rps_fractional / application_utilization`, fewer for errors.
Both are the engine's own, so replicas that share an engine weigh the same.
"""

import base64
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from infra.engine.figures import Load
from xds.data.orca.v3.orca_load_report_pb2 import OrcaLoadReport

_FRESH_S = 60.0
_RATE_S = 10.0


@dataclass(slots=True)
class LoadReports:
    """What the engines told last, and how many calls fail."""

    clock: Callable[[], float] = time.monotonic
    _loads: dict[str, tuple[float, Load]] = field(default_factory=dict[str, tuple[float, Load]])
    """By model: when it was told, and what."""
    _errors: float = 0.0
    _counted_s: float = 0.0

    def note(self, model: str, load: Load) -> None:
        """Remember what a model's engine has told."""
        self._loads[model] = (self.clock(), load)

    def report(self, *, has_failed: bool) -> str:
        """Count a call that ends, and return the report for its caller, in ORCA's form."""
        now_s = self.clock()
        self._errors = self._errors * math.exp((self._counted_s - now_s) / _RATE_S) + has_failed
        self._counted_s = now_s
        report = OrcaLoadReport(eps=self._errors / _RATE_S)
        loads = [load for told_s, load in self._loads.values() if now_s - told_s < _FRESH_S]
        if loads:
            report.rps_fractional = sum(load.sequences_per_s for load in loads)
            # The busiest engine is the one that makes calls wait.
            report.application_utilization = max(load.utilization for load in loads)
            report.named_metrics.update(
                running=sum(load.running for load in loads),
                waiting=sum(load.waiting for load in loads),
                waiting_tokens=sum(load.waiting_tokens for load in loads),
                kv_cache_usage_ratio=max(load.kv_cache_usage_ratio for load in loads),
                tokens_per_second=sum(load.tokens_per_s for load in loads),
                batch_size=sum(load.batch_size for load in loads),
                max_batch_size=sum(load.max_batch_size for load in loads),
            )
            cached = [load.cached_prompt_ratio for load in loads]
            told = [ratio for ratio in cached if not math.isnan(ratio)]
            if told:
                report.named_metrics["prompt_tokens_cached_ratio"] = statistics.fmean(told)
        return "BIN " + base64.b64encode(report.SerializeToString()).decode()
