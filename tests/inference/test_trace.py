"""The engine's spans, as a real OTLP receiver gets them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from services.link import Call
from tests.inference.asking import ask, asking
from tests.inference.triton import connected, served, start, stop

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass
class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans, and tells when there are enough."""

    spans: dict[str, Span] = field(default_factory=dict)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def Export(  # noqa: N802 - gRPC's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: Any
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        del context
        async with self.arrived:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self.spans |= {span.name: span for span in scope.spans}
            self.arrived.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()


@dataclass
class Listening:
    receiver: Receiver
    endpoint: str


@pytest.fixture
async def otlp() -> AsyncIterator[Listening]:
    receiver = Receiver()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Listening(receiver, f"http://127.0.0.1:{port}")
    await server.stop(0)


async def test_the_engine_s_spans_stand_under_the_caller_s(tmp_path: Path, otlp: Listening) -> None:
    triton = await asyncio.to_thread(start, tmp_path, served(), otlp_endpoint=otlp.endpoint)
    try:
        async with connected(triton, "pocket") as link:
            call = Call("r1", trace={"traceparent": f"00-{TRACE}-{PARENT}-01"})
            answer = await ask(link, asking(max_output_tokens=5), call)
        async with asyncio.timeout(30), otlp.receiver.arrived:
            await otlp.receiver.arrived.wait_for(lambda: "engine" in otlp.receiver.spans)
    finally:
        await asyncio.to_thread(stop, triton)
    spans = otlp.receiver.spans
    engine = spans["engine"]
    assert engine.trace_id.hex() == TRACE
    assert engine.parent_span_id.hex() == PARENT
    for part in ("queue", "prefill", "decode"):
        assert spans[part].parent_span_id == engine.span_id
        assert engine.start_time_unix_nano <= spans[part].start_time_unix_nano
        assert spans[part].start_time_unix_nano <= spans[part].end_time_unix_nano
        assert spans[part].end_time_unix_nano <= engine.end_time_unix_nano
    attributes = {entry.key: entry.value for entry in engine.attributes}
    assert attributes["gen_ai.request.model"].string_value == "pocket"
    assert attributes["gen_ai.usage.output_tokens"].int_value == 5
    assert attributes["gen_ai.usage.input_tokens"].int_value == answer.finished.usage.input_tokens
    assert attributes["gen_ai.server.time_to_first_token"].double_value > 0
