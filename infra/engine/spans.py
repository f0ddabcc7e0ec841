"""The engine's part of a request's trace, written when the request has ended."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.trace import SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services import telemetry

_W3C = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class Course:
    """When what happened to a request; instants of CLOCK_MONOTONIC in nanoseconds, 0 for never."""

    arrived_ns: int
    first_step_ns: int
    first_token_ns: int
    last_token_ns: int
    ended_ns: int
    input_tokens: int
    output_tokens: int
    reason: str
    """Why it failed; empty when it did not."""


class EngineSpans:
    """Makes `engine` with its parts `queue`, `prefill` and `decode`."""

    def __init__(self, tracer: Tracer, model: str) -> None:
        self._tracer = tracer
        self._attributes = {
            telemetry.GEN_AI_REQUEST_MODEL: model,
            telemetry.MESH_HOP: "engine",
        }

    def write(self, course: Course, parent: Mapping[str, str]) -> None:
        """Write the spans of one request under its W3C trace context."""
        epoch_ns = time.time_ns() - time.monotonic_ns()
        span = self._tracer.start_span(
            "engine",
            _W3C.extract(parent),
            SpanKind.INTERNAL,
            self._attributes,
            start_time=epoch_ns + course.arrived_ns,
        )
        span.set_attribute(telemetry.GEN_AI_INPUT_TOKENS, course.input_tokens)
        span.set_attribute(telemetry.GEN_AI_OUTPUT_TOKENS, course.output_tokens)
        if course.first_token_ns:
            ttft_s = (course.first_token_ns - course.arrived_ns) / 1e9
            span.set_attribute(telemetry.GEN_AI_TIME_TO_FIRST_TOKEN, ttft_s)
        if course.reason:
            span.set_attribute(telemetry.ERROR_TYPE, course.reason)
            span.set_status(StatusCode.ERROR, course.reason)
        context = set_span_in_context(span)
        for name, start_ns, end_ns in (
            ("queue", course.arrived_ns, course.first_step_ns or course.ended_ns),
            ("prefill", course.first_step_ns, course.first_token_ns or course.ended_ns),
            ("decode", course.first_token_ns, course.last_token_ns),
        ):
            if start_ns:
                part = self._tracer.start_span(name, context, start_time=epoch_ns + start_ns)
                part.end(epoch_ns + end_ns)
        span.end(epoch_ns + course.ended_ns)
