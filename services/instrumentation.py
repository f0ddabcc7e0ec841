"""The OpenTelemetry SDK and its gRPC instrumentation, with what its asyncio streaming needs mended.

Imported only when traces are exported.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import aio_client_interceptors
from opentelemetry.instrumentation.grpc._aio_server import (
    OpenTelemetryAioServerInterceptor,
    _OpenTelemetryAioServicerContext,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import TracerProvider as AnyTracerProvider

_EXPORT_TIMEOUT_S = 5
_DELAY_MS = 1000

Handler = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[None]]


def provider(endpoint: str, process: str) -> TracerProvider:
    """Build a provider that sends spans in the background, from a bounded queue."""
    built = TracerProvider(resource=Resource.create({"service.name": process}))
    exporter = OTLPSpanExporter(
        endpoint, insecure=endpoint.startswith("http://"), timeout=_EXPORT_TIMEOUT_S
    )
    built.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_DELAY_MS))
    return built


def client_interceptors(spans: AnyTracerProvider) -> Sequence[grpc.aio.ClientInterceptor]:
    """Return the instrumentation's interceptors, one for each shape of RPC."""
    interceptors: list[grpc.aio.ClientInterceptor] = aio_client_interceptors(spans)  # type: ignore[no-untyped-call]
    return interceptors


class ServerInterceptor(OpenTelemetryAioServerInterceptor):
    """Makes a server span of every call, streams included.

    The instrumentation wraps every stream in an async generator, which suspends with its span
    current: a client that leaves between two messages makes the span end in another task, with
    "Failed to detach context" in the log (open-telemetry/opentelemetry-python-contrib#2357, #3066),
    and a handler that writes to its context instead of yielding is not understood at all. Every
    handler of the mesh is a coroutine, so the call's span can simply be current in its task.
    """

    def _intercept_aio_server_stream(
        self, behavior: Handler, details: grpc.HandlerCallDetails
    ) -> Handler:
        async def traced(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            with self._set_remote_context(context), self._start_span(details, context) as span:
                # The proxy passes on what it does not trace, `write` and `abort` among it.
                proxy: Any = _OpenTelemetryAioServicerContext(context, span)
                await behavior(request, proxy)

        return traced
