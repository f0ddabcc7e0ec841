"""`x-request-timeout-ms`: a deadline for callers who have no gRPC."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody

from catenary.v1 import (
    embeddings_pb2,
    embeddings_pb2_grpc,
    error_reason_pb2,
    generation_pb2_grpc,
    openai_pb2_grpc,
    tokens_pb2,
    tokens_pb2_grpc,
)
from services import rpc_status
from services.errors import MeshError
from services.gateway.deadline import budgeted
from tests.fakes import Answering, Scripted, answer, call, delta, started
from tests.fakes import request as a_request
from tests.gateway.bodies import body, read
from tests.gateway.parts import gateway, gateway_config, serve

HEADER = "x-request-timeout-ms"
CONFIG = gateway_config(max_calls=1)

Metadata = tuple[tuple[str, str], ...]
Ask = Callable[[grpc.aio.Channel, Metadata], Awaitable[object]]


def left_s(*, timeout_ms: str | None = None, grpc_s: float | None = None) -> float:
    deadline = None if grpc_s is None else time.monotonic() + grpc_s
    budget = budgeted(call(timeout_ms=timeout_ms, deadline=deadline), CONFIG)
    assert budget.timeout_ms is None
    remaining = budget.time_remaining()
    assert remaining is not None
    return remaining


@pytest.mark.parametrize(
    ("timeout_ms", "grpc_s", "expected_s"),
    [
        (None, None, 600),
        ("90000", None, 90),
        ("999999999", None, 999_999.999),
        ("90000", 50, 50),
        ("90000", 100, 90),
    ],
)
def test_the_earlier_deadline_holds(
    timeout_ms: str | None, grpc_s: float | None, expected_s: float
) -> None:
    assert expected_s - 10 < left_s(timeout_ms=timeout_ms, grpc_s=grpc_s) <= expected_s


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "1.5", "1e3", "5s", " 5", "5, 6", "٥", "1000000000", "9" * 9000],  # noqa: RUF001
)
def test_a_bad_header_is_refused_by_name(text: str) -> None:
    with pytest.raises(MeshError) as caught:
        left_s(timeout_ms=text)
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_INVALID_REQUEST
    assert caught.value.violations[0].field == HEADER
    assert str(caught.value).startswith(f"{HEADER}: must be a whole number of milliseconds")


async def test_links_behind_the_gateway_see_a_deadline_and_no_header() -> None:
    upstream = Scripted(answer("hi"))
    async with aclosing(gateway(upstream).generate(a_request(), call(timeout_ms="90000"))) as given:
        assert [event async for event in given]
    (seen,) = upstream.calls
    assert seen.timeout_ms is None
    assert 80 < (seen.time_remaining() or 0) <= 90


async def test_a_stream_that_stalls_ends_with_an_event(closing: AsyncExitStack) -> None:
    upstream = Scripted([started(), delta("hi"), asyncio.Event()])
    stub = openai_pb2_grpc.OpenAIStub(await serve(upstream, closing))
    request = HttpBody(data=body(stream=True))
    parts = [
        part.data async for part in stub.CreateChatCompletion(request, metadata=((HEADER, "300"),))
    ]
    *_, said, last = read(*parts)
    assert said["choices"][0]["delta"]["content"] == "hi"
    assert last["error"]["code"] == "deadline_exceeded"
    assert upstream.running == 0


def chat(channel: grpc.aio.Channel, metadata: Metadata) -> Awaitable[object]:
    stub = openai_pb2_grpc.OpenAIStub(channel)
    return stub.CreateChatCompletion(HttpBody(data=body()), metadata=metadata).read()


def embeddings(channel: grpc.aio.Channel, metadata: Metadata) -> Awaitable[object]:
    asked = HttpBody(data=b'{"model": "minilm", "input": "a"}')
    return openai_pb2_grpc.OpenAIStub(channel).CreateEmbedding(asked, metadata=metadata)


def generate(channel: grpc.aio.Channel, metadata: Metadata) -> Awaitable[object]:
    stub = generation_pb2_grpc.GenerationStub(channel)
    return stub.Generate(a_request(), metadata=metadata).read()


def embed(channel: grpc.aio.Channel, metadata: Metadata) -> Awaitable[object]:
    asked = embeddings_pb2.EmbedRequest(model="minilm", texts=["a"])
    return embeddings_pb2_grpc.EmbeddingsStub(channel).Embed(asked, metadata=metadata)


def count(channel: grpc.aio.Channel, metadata: Metadata) -> Awaitable[object]:
    asked = tokens_pb2.CountTokensRequest(model="pocket", messages=a_request().messages)
    return tokens_pb2_grpc.TokensStub(channel).CountTokens(asked, metadata=metadata)


@pytest.mark.parametrize("ask", [chat, embeddings, generate, embed, count])
@pytest.mark.parametrize(
    ("value", "code", "fields"),
    [
        ("30", grpc.StatusCode.DEADLINE_EXCEEDED, []),
        ("soon", grpc.StatusCode.INVALID_ARGUMENT, [HEADER]),
    ],
)
async def test_every_route_keeps_it(
    closing: AsyncExitStack, ask: Ask, value: str, code: grpc.StatusCode, fields: list[str]
) -> None:
    never = asyncio.Event()
    channel = await serve(Scripted([never]), closing, Answering(release=never))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(channel, ((HEADER, value),))
    assert caught.value.code() == code
    error = rpc_status.from_rpc_error(caught.value, "gateway")
    assert [each.field for each in error.violations] == fields
