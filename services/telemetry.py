"""Every name that the mesh emits, with its unit, and the metrics of a hop.

Attributes follow OpenTelemetry's semantic conventions for generative AI where there is one
(open-telemetry/semantic-conventions-genai, still in development: what we emit is pinned here).
Labels are few and closed: no id, no user, no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Attributes of spans.
GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_TIME_TO_FIRST_TOKEN = "gen_ai.server.time_to_first_token"  # noqa: S105 - seconds
MESH_HOP = "mesh.hop"
MESH_OUTCOME = "mesh.outcome"
ERROR_TYPE = "error.type"

# Values of the label and attribute `outcome`.
OK = "ok"
ERROR = "error"
CANCELLED = "cancelled"

UNKNOWN_MODEL = "unknown"
"""The label of a model that is not served, whatever name the caller gave."""

# Names of metrics.
REQUESTS = "catenary_requests"
REQUEST_DURATION = "catenary_request_duration_seconds"
UNARY_REQUESTS = "catenary_unary_requests"
UNARY_DURATION = "catenary_unary_request_duration_seconds"
TIME_TO_FIRST_TOKEN = "catenary_time_to_first_token_seconds"  # noqa: S105 - a metric
INTER_TOKEN_LATENCY = "catenary_inter_token_latency_seconds"  # noqa: S105 - a metric
TOKENS = "catenary_tokens"
IN_FLIGHT = "catenary_requests_in_flight"
ABANDONED_TOKENS = "catenary_tokens_after_caller_left"
SAFETY_FINDINGS = "catenary_safety_findings"
SAFETY_FAILURES = "catenary_safety_detector_failures"
SAFETY_DETECTOR_DURATION = "catenary_safety_detector_duration_seconds"
SAFETY_HELD_TOKENS = "catenary_safety_held_tokens"
SAFETY_POLICY_REFUSED = "catenary_safety_policy_refused"
SAFETY_AUDIT_LOST = "catenary_safety_audit_records_lost"
CACHE_LOOKUPS = "catenary_cache_lookups"
CACHE_ENTRIES = "catenary_cache_entries"
CACHE_BYTES = "catenary_cache_size_bytes"
CACHE_EVICTIONS = "catenary_cache_evictions"
ROUTER_DECISIONS = "catenary_router_decisions"
UPSTREAM_CALLS = "catenary_upstream_calls"
ENGINE_RUNNING = "catenary_engine_sequences_running"
ENGINE_WAITING = "catenary_engine_sequences_waiting"
ENGINE_TOKENS = "catenary_engine_tokens"
ENGINE_KV_USAGE = "catenary_engine_kv_cache_usage_ratio"
ENGINE_RUNNING_TOKENS = "catenary_engine_tokens_running"
ENGINE_WAITING_TOKENS = "catenary_engine_tokens_waiting"
ENGINE_BATCH_SIZE = "catenary_engine_batch_size"
ENGINE_TOKENS_PER_S = "catenary_engine_tokens_per_second"
ENGINE_STEPS = "catenary_engine_steps"
ENGINE_PROMPT_TOKENS = "catenary_engine_prompt_tokens"
ENGINE_CACHED_PROMPT_TOKENS = "catenary_engine_prompt_tokens_cached"
ENGINE_RESTARTS = "catenary_engine_restarts"
ENGINE_FAILURES = "catenary_engine_failures"

# From 0.1 ms, what a hop adds, to 100 s, what a long answer takes.
_SECONDS = (
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100),
)


@dataclass(frozen=True, slots=True)
class Series:
    """The metrics of one link and model."""

    duration: Histogram
    time_to_first_token: Histogram
    inter_token_latency: Histogram
    input_tokens: Counter
    output_tokens: Counter
    in_flight: Gauge


class HopMetrics:
    """What every hop counts, as it sees it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: Sequence[str]) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(name, text, ("link", "model"), registry=registry, buckets=_SECONDS)

        self.requests = counter(
            REQUESTS,
            "Requests that ended, by outcome (ok, error, cancelled) and reason of error.",
            ("link", "model", "outcome", "reason"),
        )
        self.unary_requests = counter(
            UNARY_REQUESTS,
            "Embeddings and token counts that ended, by operation, outcome and reason of error.",
            ("link", "operation", "model", "outcome", "reason"),
        )
        self.unary_duration = Histogram(
            UNARY_DURATION,
            "From the arrival of a request for embeddings or a token count to its end.",
            ("link", "operation", "model"),
            registry=registry,
            buckets=_SECONDS,
        )
        self._duration = histogram(
            REQUEST_DURATION, "From the request's arrival at the link to its end."
        )
        self._time_to_first_token = histogram(
            TIME_TO_FIRST_TOKEN, "From the request's arrival at the link to its first delta."
        )
        self._inter_token_latency = histogram(
            INTER_TOKEN_LATENCY, "The gap before each delta but the first, by token of the delta."
        )
        self._tokens = counter(
            TOKENS,
            "Tokens of finished requests, by direction (input, output).",
            ("link", "model", "direction"),
        )
        self._in_flight = Gauge(
            IN_FLIGHT, "Requests that have not ended.", ("link", "model"), registry=registry
        )
        self._series: dict[tuple[str, str], Series] = {}

    def series(self, link: str, model: str) -> Series:
        """Return the metrics of a link and a model; looked up once, since each look costs 2 µs."""
        found = self._series.get((link, model))
        if found is None:
            found = self._series[link, model] = Series(
                self._duration.labels(link, model),
                self._time_to_first_token.labels(link, model),
                self._inter_token_latency.labels(link, model),
                self._tokens.labels(link, model, "input"),
                self._tokens.labels(link, model, "output"),
                self._in_flight.labels(link, model),
            )
        return found
