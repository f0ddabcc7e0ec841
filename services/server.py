"""Serves links over gRPC: gRPC → link; health, reflection, a stop that lets streams end."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import generation_pb2_grpc
from services import errors, rpc_status
from services.link import Link
from services.merge import write_merged
from services.tracing import Tracing
from services.transport import OPTIONS, from_context
from services.wellformed import WellFormed

logger = logging.getLogger(__name__)


LOAD_REPORT = "endpoint-load-metrics"
"""The trailing metadata with a load report, as Envoy reads it.

gRPC keeps the other name, `endpoint-load-metrics-bin`, from whoever calls.
"""


class Reports(Protocol):
    """Makes the load reports of a server."""

    def report(self, *, has_failed: bool) -> str:
        """Count a call that ends, and return the report for its caller, in ORCA's form."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """One gRPC service: its full name, and what adds it to a server."""

    name: str
    register: Callable[[grpc.aio.Server], None]


class LinkServicer(generation_pb2_grpc.GenerationServicer):
    """Serves a link as `catenary.v1.Generation`."""

    def __init__(self, link: Link, tracing: Tracing, reports: Reports | None = None) -> None:
        self._link = link
        self._tracing = tracing
        self._reports = reports

    # A coroutine that writes, and not a generator that yields: gRPC never closes a handler's
    # generator, so the link behind it would be cancelled whenever the collector comes by
    # (grpc/grpc#42295). Here a caller who leaves cancels this task, and the link at once.
    async def Generate(  # type: ignore[override]  # noqa: N802 - gRPC's name
        self,
        request: pb.GenerateRequest,
        context: grpc.aio.ServicerContext[pb.GenerateRequest, pb.GenerateResponse],
    ) -> None:
        """Write the link's events; its errors become statuses with details."""
        call = from_context(context)
        call = replace(call, trace=self._tracing.ambient(call.trace))
        try:
            await write_merged(self._link.generate(request, call), context.write)
        except errors.MeshError as error:
            # What might have gone well elsewhere, or later, speaks against this server.
            report = self._load_report(has_failed=error.retry_after_s is not None)
            await rpc_status.abort(context, error, report)
        except Exception as error:
            if has_left(error, context):
                return
            logger.exception("defect", extra={"request_id": call.request_id})
            await rpc_status.abort(context, errors.internal(), self._load_report(has_failed=True))
        else:
            context.set_trailing_metadata(self._load_report(has_failed=False))

    def _load_report(self, *, has_failed: bool) -> tuple[tuple[str, str], ...]:
        if self._reports is None:
            return ()
        return ((LOAD_REPORT, self._reports.report(has_failed=has_failed)),)


def has_left(error: Exception, context: grpc.aio.ServicerContext[Any, Any]) -> bool:
    """Tell a caller who leaves in the midst of a write from a defect.

    The write fails before the call's task is cancelled.
    """
    return isinstance(error, grpc.aio.InternalError) and context.cancelled()


def generation(link: Link, tracing: Tracing, reports: Reports | None = None) -> Service:
    """Return the service that every link offers; with `reports`, callers are told of the load."""
    servicer = LinkServicer(link, tracing, reports)
    return Service(
        pb.DESCRIPTOR.services_by_name["Generation"].full_name,
        lambda server: generation_pb2_grpc.add_GenerationServicer_to_server(servicer, server),
    )


async def serve(
    services: Sequence[Service], address: str, tracing: Tracing, drain_s: float
) -> None:
    """Serve until SIGTERM or SIGINT, then let running streams end within `drain_s` seconds.

    Raises:
        OSError: the address is taken, or is not one of this machine's.
    """
    async with serving(services, address, tracing, drain_s):
        await _stop_signal()


@asynccontextmanager
async def serving(
    services: Sequence[Service], address: str, tracing: Tracing, drain_s: float
) -> AsyncIterator[int]:
    """Serve for as long as the block runs; give the port. Then drain, as `serve` does.

    Raises:
        OSError: the address is taken, or is not one of this machine's.
    """
    server = grpc.aio.server(
        # With so_reuseport a taken port would be shared in silence.
        options=[*OPTIONS, ("grpc.so_reuseport", 0)],
        interceptors=[*tracing.server_interceptors, WellFormed()],
    )
    health_servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [service.name for service in services]
    for service in services:
        service.register(server)
        await health_servicer.set(service.name, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection([*names, HEALTH, reflection.SERVICE_NAME], server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(f"cannot listen on {address}: the port is taken") from None
    await server.start()
    host = address.rpartition(":")[0]
    logger.info("serving", extra={"address": f"{host}:{port}", "services": names})
    try:
        yield port
    finally:
        logger.info("draining", extra={"seconds": drain_s})
        await health_servicer.enter_graceful_shutdown()
        await server.stop(drain_s)


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
