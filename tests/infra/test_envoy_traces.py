"""Envoy's spans stand between the caller's and the link's, in one trace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from catenary.v1 import models_pb2, models_pb2_grpc
from tests.infra.conftest import StartEdge
from tests.infra.upstream import Seen

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@dataclass(slots=True)
class Receiver(otlp_grpc.TraceServiceServicer):
    spans: asyncio.Queue[Span] = field(default_factory=asyncio.Queue)

    async def Export(  # noqa: N802 - gRPC's name
        self,
        request: otlp.ExportTraceServiceRequest,
        _: grpc.aio.ServicerContext[Any, Any],
    ) -> otlp.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.put_nowait(span)
        return otlp.ExportTraceServiceResponse()


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[str, Receiver]]:
    server = grpc.aio.server()
    receiver = Receiver()
    otlp_grpc.add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}", receiver
    finally:
        await server.stop(None)


@pytest.mark.parametrize("listener", ["edge", "mesh"])
async def test_a_span_between_caller_and_link(
    start_edge: StartEdge, upstream: str, seen: Seen, listener: str
) -> None:
    async with receiving() as (endpoint, receiver):
        replicas = {"gateway": [upstream], "safety": [upstream]}
        edge = await start_edge(replicas, mesh=True, otlp_endpoint=endpoint)
        if listener == "edge":
            await edge.http.get("/v1/models", headers={"traceparent": TRACEPARENT})
        else:
            options = [("grpc.default_authority", "safety")]
            async with grpc.aio.insecure_channel(edge.mesh_address, options) as channel:
                await models_pb2_grpc.ModelsStub(channel).ListModels(
                    models_pb2.ListModelsRequest(), metadata=(("traceparent", TRACEPARENT),)
                )
        async with asyncio.timeout(20):
            span = await receiver.spans.get()
    assert span.name == {"edge": "edge", "mesh": "mesh safety"}[listener]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
    assert seen.metadata["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"


async def test_a_caller_without_a_trace_starts_one(
    start_edge: StartEdge, upstream: str, seen: Seen
) -> None:
    async with receiving() as (endpoint, receiver):
        edge = await start_edge({"gateway": [upstream]}, otlp_endpoint=endpoint)
        await edge.http.get("/v1/models")
        async with asyncio.timeout(20):
            span = await receiver.spans.get()
    assert span.parent_span_id == b""
    assert seen.metadata["traceparent"] == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
