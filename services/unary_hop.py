"""What a single request costs at the gateway and at the inference link: span, metrics, log line."""

import asyncio
import logging
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace

from opentelemetry.trace import Span, StatusCode

from catenary.v1 import embeddings_pb2, tokens_pb2
from catenary.v1.decision_pb2 import Decision, GatewayDecision
from services import decisions, errors, telemetry, tracing
from services.chain import ORDER
from services.link import Call
from services.unary import Unary

logger = logging.getLogger(__name__)

EMBEDDINGS = "embeddings"
COUNT_TOKENS = "count_tokens"
"""Operations; the first is the semantic conventions' own word."""


@dataclass(frozen=True, slots=True)
class UnaryHop:
    """Stands round what answers, and changes nothing of it."""

    name: str
    unary: Unary
    metrics: telemetry.HopMetrics
    tracing: tracing.Tracing
    models: AbstractSet[str]
    """The models that are served: the only ones that become labels."""

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return a vector for each text."""
        with self._passage(EMBEDDINGS, request.model, call) as passage:
            response = await self.unary.embed(request, passage.call)
            passage.input_tokens = response.usage.input_tokens
            self.metrics.series(self.name, passage.model).input_tokens.inc(passage.input_tokens)
            return response

    async def count_tokens(
        self, request: tokens_pb2.CountTokensRequest, call: Call
    ) -> tokens_pb2.CountTokensResponse:
        """Return the tokens of the prompt that a conversation makes."""
        with self._passage(COUNT_TOKENS, request.model, call) as passage:
            response = await self.unary.count_tokens(request, passage.call)
            passage.input_tokens = response.input_tokens
            return response

    @contextmanager
    def _passage(self, operation: str, requested: str, call: Call) -> "Iterator[_Passage]":
        model = requested if requested in self.models else telemetry.UNKNOWN_MODEL
        span = self.tracing.start(self.name, call.trace)
        if span is not None:
            call = replace(call, trace=tracing.headers(span))
        passage = _Passage(operation, model, call, span)
        began = time.perf_counter()
        try:
            yield passage
            passage.outcome = telemetry.OK
        except asyncio.CancelledError:
            passage.outcome = telemetry.CANCELLED
            raise
        except errors.MeshError as error:
            passage.reason = error.reason_name
            passage.decisions = error.decisions
            # Nobody can ask for the decisions of a single request.
            raise replace(error, decisions=()) if self.name == ORDER[0] else error from None
        finally:
            self._end(passage, requested, time.perf_counter() - began)

    def _end(self, passage: "_Passage", requested: str, duration_s: float) -> None:
        operation, model = passage.operation, passage.model
        reason = passage.reason if passage.outcome == telemetry.ERROR else ""
        self.metrics.unary_requests.labels(
            self.name, operation, model, passage.outcome, reason
        ).inc()
        self.metrics.unary_duration.labels(self.name, operation, model).observe(duration_s)
        if passage.span is not None:
            _end_span(passage.span, passage, self.name, requested)
        if self.name == ORDER[0]:
            line = {
                "request_id": passage.call.request_id,
                "operation": operation,
                "model": model,
                "outcome": passage.outcome,
                "reason": reason,
                "duration_s": round(duration_s, 6),
                "input_tokens": passage.input_tokens,
            }
            gateway = GatewayDecision(tenant=passage.call.tenant, key_id=passage.call.key_id)
            told = [Decision(gateway=gateway), *passage.decisions]
            logger.info("request", extra=line | decisions.attributes(told))


@dataclass(slots=True)
class _Passage:
    """What a hop has seen of one request."""

    operation: str
    model: str
    call: Call
    """What travels beside the request behind this hop."""
    span: Span | None
    outcome: str = telemetry.ERROR
    reason: str = "INTERNAL"
    """Why it failed, where it did."""
    input_tokens: int = 0
    decisions: tuple[Decision, ...] = ()
    """What links decided, where it failed for that."""


def _end_span(span: Span, passage: _Passage, hop: str, requested: str) -> None:
    span.set_attribute(telemetry.GEN_AI_OPERATION, passage.operation)
    span.set_attribute(telemetry.GEN_AI_REQUEST_MODEL, requested)
    span.set_attribute(telemetry.GEN_AI_RESPONSE_ID, passage.call.request_id)
    span.set_attribute(telemetry.MESH_HOP, hop)
    span.set_attribute(telemetry.MESH_OUTCOME, passage.outcome)
    if passage.outcome == telemetry.OK:
        span.set_attribute(telemetry.GEN_AI_INPUT_TOKENS, passage.input_tokens)
    own = [one for one in passage.decisions if one.WhichOneof("link") == hop]
    span.set_attributes(decisions.attributes(own))
    if passage.outcome == telemetry.ERROR:
        span.set_attribute(telemetry.ERROR_TYPE, passage.reason)
        span.set_status(StatusCode.ERROR, passage.reason)
    span.end()
