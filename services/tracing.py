"""One trace: spans for every hop and every call between processes, when a receiver is configured.

Without a receiver the OpenTelemetry SDK is not imported, and no span is made.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from opentelemetry import context as ambient
from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class Tracing:
    """Makes spans; makes none when it is off."""

    tracer: Tracer | None = None
    """Makes the spans of hops."""
    client_interceptors: Sequence[grpc.aio.ClientInterceptor] = field(default_factory=tuple)
    """What makes a client span of every call of a channel."""
    server_interceptors: Sequence[grpc.aio.ServerInterceptor] = field(default_factory=tuple)
    """What makes a server span of every call that a server takes."""

    def start(self, name: str, parent: Mapping[str, str]) -> Span | None:
        """Start a span under a W3C trace context; the caller ends it. None when tracing is off.

        It is never made current: a span held current across a `yield` leaks into the consumer.
        """
        if self.tracer is None:
            return None
        return self.tracer.start_span(name, _W3C.extract(parent), SpanKind.INTERNAL)

    @contextmanager
    def under(self, parent: Mapping[str, str]) -> Iterator[None]:
        """Make a trace context ambient while a call starts, for the client's interceptor to see."""
        if self.tracer is None:
            yield
            return
        token = ambient.attach(_W3C.extract(parent))
        try:
            yield
        finally:
            ambient.detach(token)

    def ambient(self, otherwise: Mapping[str, str]) -> Mapping[str, str]:
        """Return the W3C trace context of the server's span; `otherwise` when tracing is off."""
        if self.tracer is None:
            return otherwise
        headers: dict[str, str] = {}
        _W3C.inject(headers)
        return headers


def headers(span: Span) -> Mapping[str, str]:
    """Return the W3C trace context under which the span's children belong."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span))
    return carrier


@contextmanager
def exporting(endpoint: str, process: str) -> Iterator[Tracing]:
    """Send the spans of this process to an OTLP/gRPC receiver; make none when `endpoint` is empty.

    Spans that the receiver does not take in time are dropped: a receiver that is gone costs the
    mesh nothing.

    Raises:
        ModuleNotFoundError: the extra `otel` is not installed.
    """
    if not endpoint:
        yield Tracing()
        return
    from services import instrumentation  # noqa: PLC0415 - the SDK is an extra

    provider = instrumentation.provider(endpoint, process)
    try:
        yield tracing(provider)
    finally:
        provider.shutdown()


def tracing(provider: TracerProvider) -> Tracing:
    """Build what makes spans from a provider."""
    from services import instrumentation  # noqa: PLC0415 - the SDK is an extra

    return Tracing(
        provider.get_tracer("catenary"),
        instrumentation.client_interceptors(provider),
        [instrumentation.ServerInterceptor(provider.get_tracer("catenary.grpc"), _is_traced)],
    )


def _is_traced(details: grpc.HandlerCallDetails) -> bool:
    return details.method.startswith("/catenary.")
