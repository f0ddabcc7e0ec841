"""One hop of the chain, observed: its span, metrics, log line, and the grammar of its stream."""

import logging
import time
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, replace

from opentelemetry.trace import Span, StatusCode

from catenary.v1 import generation_pb2 as pb
from catenary.v1.decision_pb2 import Decision
from catenary.v1.message_pb2 import FinishReason
from services import decisions, errors, telemetry, tracing
from services.chain import ORDER
from services.link import Call, Events, Link

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hop:
    """Stands round one link of the chain, and changes nothing of what passes.

    A stream that breaks its grammar, or ends without `finished`, fails with STREAM_BROKEN.
    """

    name: str
    link: Link
    metrics: telemetry.HopMetrics
    tracing: tracing.Tracing
    models: AbstractSet[str]
    """The models that are served: the only ones that become labels."""

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the link's events."""
        model = request.model if request.model in self.models else telemetry.UNKNOWN_MODEL
        span = self.tracing.start(self.name, call.trace)
        passage = _Passage(self, model, span)
        if span is not None:
            call = replace(call, trace=tracing.headers(span))
        try:
            async with aclosing(self.link.generate(request, call)) as events:
                async for event in events:
                    passage.see(event)
                    yield event
            passage.require_finished()
        except errors.MeshError as error:
            passage.fail(error.reason_name)
            passage.decisions.extend(error.decisions)
            raise
        except Exception:
            passage.fail("INTERNAL")
            raise
        finally:
            passage.end(request, call)


class _Passage:
    """What a hop has seen of one request."""

    def __init__(self, hop: Hop, model: str, span: Span | None) -> None:
        self.hop = hop
        self.model = model
        self.span = span
        # A generator that is closed early sees neither an error nor `finished`.
        self.outcome = telemetry.CANCELLED
        self.reason = ""
        self.started = False
        # The gateway names a request that came without a name, or with one not fit for a log.
        self.request_id = ""
        self.finished: pb.Finished | None = None
        self.decisions: list[Decision] = []
        self.started_at = time.perf_counter()
        self.first_token_s: float | None = None
        self.last_delta_at = 0.0
        self.series = hop.metrics.series(hop.name, model)
        self.series.in_flight.inc()

    def see(self, event: pb.GenerateResponse) -> None:
        kind = event.WhichOneof("event")
        if self.finished is not None or self.started == (kind == "started"):
            raise errors.stream_broken(self.hop.name)
        self.started = True
        if kind == "delta":
            self.see_delta(event.delta)
        elif kind == "started":
            self.request_id = event.started.request_id
        elif kind == "finished":
            self.finished = event.finished
            self.outcome = telemetry.OK
        elif kind == "decision":
            self.decisions.append(event.decision)

    def see_delta(self, delta: pb.Delta) -> None:
        now = time.perf_counter()
        if self.first_token_s is None:
            self.first_token_s = now - self.started_at
            self.series.time_to_first_token.observe(self.first_token_s)
        else:
            gap = (now - self.last_delta_at) / max(1, delta.output_tokens)
            self.series.inter_token_latency.observe(gap)
        self.last_delta_at = now

    def require_finished(self) -> None:
        if self.finished is None:
            raise errors.stream_broken(self.hop.name)

    def fail(self, reason: str) -> None:
        self.outcome, self.reason = telemetry.ERROR, reason

    def end(self, request: pb.GenerateRequest, call: Call) -> None:
        hop, duration_s = self.hop, time.perf_counter() - self.started_at
        self.series.in_flight.dec()
        hop.metrics.requests.labels(hop.name, self.model, self.outcome, self.reason).inc()
        self.series.duration.observe(duration_s)
        if self.finished is not None:
            usage = self.finished.usage
            self.series.input_tokens.inc(usage.input_tokens)
            self.series.output_tokens.inc(usage.output_tokens)
        if self.span is not None:
            self.end_span(self.span, request, call)
        if hop.name == ORDER[0]:
            self.log(call, duration_s)

    def log(self, call: Call, duration_s: float) -> None:
        line = {
            "request_id": self.request_id or call.request_id,
            "model": self.model,
            "outcome": self.outcome,
            "reason": self.reason,
            "duration_s": round(duration_s, 6),
            "time_to_first_token_s": self.first_token_s,
        }
        logger.info("request", extra=line | decisions.attributes(self.decisions))

    def end_span(self, span: Span, request: pb.GenerateRequest, call: Call) -> None:
        span.set_attribute(telemetry.GEN_AI_OPERATION, "chat")
        span.set_attribute(telemetry.GEN_AI_REQUEST_MODEL, request.model)
        span.set_attribute(telemetry.GEN_AI_RESPONSE_ID, self.request_id or call.request_id)
        span.set_attribute(telemetry.MESH_HOP, self.hop.name)
        span.set_attribute(telemetry.MESH_OUTCOME, self.outcome)
        # A hop sees the decisions of every link behind it; its span carries its own link's.
        own = [one for one in self.decisions if one.WhichOneof("link") == self.hop.name]
        span.set_attributes(decisions.attributes(own))
        if self.first_token_s is not None:
            span.set_attribute(telemetry.GEN_AI_TIME_TO_FIRST_TOKEN, self.first_token_s)
        if self.finished is not None:
            usage = self.finished.usage
            span.set_attribute(telemetry.GEN_AI_RESPONSE_MODEL, self.finished.served_model)
            span.set_attribute(telemetry.GEN_AI_INPUT_TOKENS, usage.input_tokens)
            span.set_attribute(telemetry.GEN_AI_OUTPUT_TOKENS, usage.output_tokens)
            span.set_attribute(
                telemetry.GEN_AI_FINISH_REASONS,
                [finish_reason(choice.finish_reason) for choice in self.finished.choices],
            )
        if self.outcome == telemetry.ERROR:
            span.set_attribute(telemetry.ERROR_TYPE, self.reason)
            span.set_status(StatusCode.ERROR, self.reason)
        span.end()


def finish_reason(reason: FinishReason.ValueType) -> str:
    """Return the reason as OpenAI and the conventions spell it, for example `tool_calls`."""
    return FinishReason.Name(reason).removeprefix("FINISH_REASON_").lower()
