"""What the gateway does with embeddings and token counts, and how its callers reach them."""

import asyncio
import time
from contextlib import AsyncExitStack

import grpc
import pytest

from catenary.v1 import (
    embeddings_pb2,
    embeddings_pb2_grpc,
    error_reason_pb2,
    message_pb2,
    tokens_pb2,
    tokens_pb2_grpc,
)
from services import errors, rpc_status
from services.gateway.places import Places
from tests.fakes import Answering, Scripted, answer, call
from tests.gateway.parts import gateway_unary, serve


def texts(*given: str, model: str = "minilm") -> embeddings_pb2.EmbedRequest:
    return embeddings_pb2.EmbedRequest(model=model, texts=given)


def conversation(text: str = "hello") -> tokens_pb2.CountTokensRequest:
    part = message_pb2.ContentPart(text=text)
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, content=[part])
    return tokens_pb2.CountTokensRequest(model="pocket", messages=[turn])


async def test_embeddings_and_counts_pass() -> None:
    upstream = Answering()
    unary = gateway_unary(upstream)
    embedded = await unary.embed(texts("a", "bcd"), call())
    assert [vector.values[0] for vector in embedded.embeddings] == [1, 3]
    assert (await unary.count_tokens(conversation(), call())).input_tokens == 5
    assert all(one.deadline is not None for one in upstream.calls)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (texts(), "texts"),
        (texts("a", ""), "texts[1]"),
        (texts(*["a"] * 2049), "texts"),
        (texts("a", model=""), "model"),
        (embeddings_pb2.EmbedRequest(model="m", texts=["a"], dimensions=0), "dimensions"),
    ],
    ids=["none", "empty", "too many", "no model", "no dimensions"],
)
async def test_what_breaks_the_contract_goes_no_further(
    request_: embeddings_pb2.EmbedRequest, field: str
) -> None:
    upstream = Answering()
    with pytest.raises(errors.MeshError) as caught:
        await gateway_unary(upstream).embed(request_, call())
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_INVALID_REQUEST
    assert caught.value.violations[0].field == field
    assert upstream.requests == []


async def test_another_name_of_a_model_is_resolved_and_the_request_left_as_it_was() -> None:
    upstream = Answering()
    asked = texts("a", model="alias")
    await gateway_unary(upstream).embed(asked, call())
    assert upstream.requests[0].model == "minilm"
    assert asked.model == "alias"


async def test_they_take_places_beside_the_streams() -> None:
    places = Places(1)
    upstream = Answering()
    unary = gateway_unary(upstream, places)
    with places.take(), pytest.raises(errors.MeshError) as caught:
        await unary.embed(texts("a"), call())
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_OVERLOADED
    await unary.embed(texts("a"), call())
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("left_s", [0, 0.05])
async def test_a_deadline_that_passes_cancels_the_work(left_s: float) -> None:
    upstream = Answering(release=asyncio.Event())
    places = Places(1)
    with pytest.raises(errors.MeshError) as caught:
        await gateway_unary(upstream, places).embed(
            texts("a"), call(deadline=time.monotonic() + left_s)
        )
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_DEADLINE_EXCEEDED
    assert upstream.cancelled.is_set() == bool(left_s)
    with places.take():
        pass


async def test_the_native_contract(closing: AsyncExitStack) -> None:
    upstream = Answering()
    channel = await serve(Scripted(answer("hi")), closing, upstream)
    metadata = (("x-request-id", "two words"), ("x-catenary-tenant", "other"))
    embedded = await embeddings_pb2_grpc.EmbeddingsStub(channel).Embed(
        texts("abc"), metadata=metadata
    )
    assert embedded.embeddings[0].values[0] == 3
    counted = await tokens_pb2_grpc.TokensStub(channel).CountTokens(
        conversation(), metadata=metadata
    )
    assert (counted.input_tokens, counted.context_window) == (5, 9)
    for one in upstream.calls:
        assert one.tenant == "default"
        assert len(one.request_id) == 32


async def test_errors_keep_their_details(closing: AsyncExitStack) -> None:
    upstream = Answering(error=errors.queue_full("minilm", 3))
    channel = await serve(Scripted(answer("hi")), closing, upstream)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await embeddings_pb2_grpc.EmbeddingsStub(channel).Embed(texts("abc"))
    error = rpc_status.from_rpc_error(caught.value, "gateway")
    assert error.reason == error_reason_pb2.ERROR_REASON_QUEUE_FULL
    assert error.retry_after_s == 3
