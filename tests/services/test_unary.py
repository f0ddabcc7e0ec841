"""Single requests between links: the same, whether or not a network lies between."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from catenary.v1 import embeddings_pb2, error_reason_pb2, tokens_pb2
from services import errors, remote, server, tracing, unary
from services.telemetry import HopMetrics
from services.tracing import Tracing
from services.unary import RemoteUnary, Unary
from services.unary_hop import UnaryHop
from tests.fakes import Answering, call

TEXTS = embeddings_pb2.EmbedRequest(model="minilm", texts=["a", "bcd"])


async def over_loopback(
    answering: Unary, closing: AsyncExitStack, spans: Tracing | None = None
) -> Unary:
    """Reach what answers as another process does."""
    spans = spans or Tracing()
    services = unary.services(answering, spans)
    port = await closing.enter_async_context(server.serving(services, "127.0.0.1:0", spans, 0))
    channel = remote.connect(f"127.0.0.1:{port}", "inference", spans)
    closing.push_async_callback(channel.close)
    return RemoteUnary("inference", channel, spans)


@pytest.fixture
async def closing() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


Reach = Callable[[Unary], Awaitable[Unary]]


@pytest.fixture(params=["in_process", "loopback"])
def reach(request: pytest.FixtureRequest, closing: AsyncExitStack) -> Reach:
    """Reaches what answers as links do."""

    async def through(answering: Unary) -> Unary:
        if request.param == "in_process":
            return answering
        return await over_loopback(answering, closing)

    return through


async def test_requests_and_responses_pass_whole(reach: Reach) -> None:
    upstream = Answering()
    reached = await reach(upstream)
    sent = call(tenant="t", key_id="k", scopes=frozenset({"a", "b"}), trace={"tracestate": "x=1"})
    response = await reached.embed(TEXTS, sent)
    assert [next(iter(vector.values)) for vector in response.embeddings] == [1, 3]
    assert upstream.requests == [TEXTS]
    assert upstream.calls == [sent]
    counted = await reached.count_tokens(tokens_pb2.CountTokensRequest(model="pocket"), call())
    assert (counted.served_model, counted.context_window) == ("pocket", 9)


async def test_errors_come_as_they_were_raised(reach: Reach) -> None:
    raised = errors.text_too_long(1, 300, 256)
    reached = await reach(Answering(raised))
    with pytest.raises(errors.MeshError) as caught:
        await reached.embed(TEXTS, call())
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_CONTEXT_WINDOW_EXCEEDED
    assert caught.value.message == raised.message
    assert caught.value.metadata == raised.metadata
    assert caught.value.violations == raised.violations


async def test_who_leaves_cancels_the_work(reach: Reach) -> None:
    upstream = Answering(release=asyncio.Event())
    reached = await reach(upstream)
    leaving = asyncio.create_task(reached.embed(TEXTS, call()))
    await upstream.begun.wait()
    leaving.cancel()
    await upstream.cancelled.wait()
    assert leaving.cancelling()


async def test_the_deadline_crosses(reach: Reach) -> None:
    upstream = Answering()
    deadline = time.monotonic() + 60
    await (await reach(upstream)).embed(TEXTS, call(deadline=deadline))
    assert upstream.calls[0].deadline == pytest.approx(deadline, abs=10)


async def test_a_link_that_is_not_there_is_named() -> None:
    channel = remote.connect("127.0.0.1:1", "inference", Tracing())
    with pytest.raises(errors.MeshError) as caught:
        await RemoteUnary("inference", channel, Tracing()).embed(TEXTS, call())
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_UPSTREAM_UNREACHABLE
    await channel.close()


async def test_a_defect_tells_nothing_of_itself(
    closing: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    reached = await over_loopback(Answering(ZeroDivisionError("secret")), closing)
    with pytest.raises(errors.MeshError) as caught:
        await reached.embed(TEXTS, call())
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_INTERNAL
    assert "secret" in caplog.text
    assert "secret" not in str(caught.value)


def hop(upstream: Unary, registry: CollectorRegistry, spans: Tracing | None = None) -> UnaryHop:
    return UnaryHop("gateway", upstream, HopMetrics(registry), spans or Tracing(), {"minilm"})


def ended(registry: CollectorRegistry, **changed: str) -> float | None:
    labels = {"link": "gateway", "operation": "embeddings", "model": "minilm", "reason": ""}
    return registry.get_sample_value("catenary_unary_requests_total", labels | changed)


async def test_a_request_is_counted_and_logged(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        await hop(Answering(), registry).embed(TEXTS, call())
    assert ended(registry, outcome="ok") == 1
    tokens = {"link": "gateway", "model": "minilm", "direction": "input"}
    assert registry.get_sample_value("catenary_tokens_total", tokens) == 4
    (line,) = [record for record in caplog.records if record.message == "request"]
    assert (line.operation, line.outcome, line.input_tokens) == ("embeddings", "ok", 4)  # type: ignore[attr-defined]


async def test_a_count_takes_no_tokens(registry: CollectorRegistry) -> None:
    request = tokens_pb2.CountTokensRequest(model="minilm")
    await hop(Answering(), registry).count_tokens(request, call())
    assert ended(registry, operation="count_tokens", outcome="ok") == 1
    tokens = {"link": "gateway", "model": "minilm", "direction": "input"}
    assert not registry.get_sample_value("catenary_tokens_total", tokens)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(errors.queue_full("minilm", 1), "QUEUE_FULL"), (ZeroDivisionError(), "INTERNAL")],
)
async def test_a_failure_is_counted_by_its_reason(
    registry: CollectorRegistry, error: Exception, reason: str
) -> None:
    with pytest.raises(type(error)):
        await hop(Answering(error), registry).embed(TEXTS, call())
    assert ended(registry, outcome="error", reason=reason) == 1


async def test_who_leaves_is_neither_success_nor_error(registry: CollectorRegistry) -> None:
    upstream = Answering(release=asyncio.Event())
    leaving = asyncio.create_task(hop(upstream, registry).embed(TEXTS, call()))
    await upstream.begun.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    assert ended(registry, outcome="cancelled") == 1


async def test_a_name_that_nobody_serves_is_no_label(registry: CollectorRegistry) -> None:
    request = embeddings_pb2.EmbedRequest(model="x" * 200, texts=["a"])
    await hop(Answering(), registry).embed(request, call())
    assert ended(registry, model="unknown", outcome="ok") == 1


async def test_spans_hang_together(registry: CollectorRegistry, closing: AsyncExitStack) -> None:
    exported = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    spans = tracing.tracing(provider)
    inner = UnaryHop("inference", Answering(), HopMetrics(CollectorRegistry()), spans, {"minilm"})
    reached = await over_loopback(inner, closing, spans)
    await hop(reached, registry, spans).embed(TEXTS, call())
    by_id = {span.context.span_id: span for span in exported.get_finished_spans()}
    gateway = next(span for span in by_id.values() if span.name == "gateway")
    span = next(span for span in by_id.values() if span.name == "inference")
    assert span.attributes is not None
    assert span.attributes["gen_ai.operation.name"] == "embeddings"
    assert span.attributes["gen_ai.usage.input_tokens"] == 4
    while span is not gateway:
        assert span.parent is not None
        span = by_id[span.parent.span_id]
