"""The gateway as its callers reach it: three contracts on one server."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody

from catenary.v1 import error_reason_pb2 as reasons
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import (
    generation_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    openai_pb2,
    openai_pb2_grpc,
)
from services import errors, rpc_status
from services.link import Call, Events
from tests.fakes import Scripted, Step, answer, delta, finished, inference_decision, kinds, started
from tests.fakes import request as a_request
from tests.gateway.bodies import body, read
from tests.gateway.parts import serve, serve_bare


async def post(channel: grpc.aio.Channel, data: bytes, **metadata: str) -> list[HttpBody]:
    stub = openai_pb2_grpc.OpenAIStub(channel)
    request = HttpBody(content_type="application/json", data=data)
    stream = stub.CreateChatCompletion(request, metadata=tuple(metadata.items()))
    try:
        return [part async for part in stream]
    finally:
        # A task that is cancelled while its call is still being sent does not cancel the call.
        stream.cancel()


async def refusal(channel: grpc.aio.Channel, data: bytes) -> tuple[grpc.aio.AioRpcError, Any]:
    """What Envoy gets for a request that fails before its first body."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await post(channel, data)
    trailers = dict(caught.value.trailing_metadata())
    return caught.value, json.loads(trailers["x-catenary-error"])["error"]


async def test_a_completion(closing: AsyncExitStack) -> None:
    channel = await serve(Scripted(answer("Hel", "lo")), closing)
    (part,) = await post(channel, body())
    assert part.content_type == "application/json"
    assert json.loads(part.data)["choices"][0]["message"]["content"] == "Hello"


async def test_a_stream(closing: AsyncExitStack) -> None:
    channel = await serve(Scripted(answer("Hel", "lo")), closing)
    parts = await post(channel, body(stream=True))
    assert {part.content_type for part in parts} == {"text/event-stream"}
    events = read(*(part.data for part in parts))
    text = [choice["delta"].get("content", "") for e in events[:-1] for choice in e["choices"]]
    assert "".join(text) == "Hello"
    assert events[-1] == "data: [DONE]"


async def test_a_stream_is_sent_delta_by_delta(closing: AsyncExitStack) -> None:
    go_on = asyncio.Event()
    channel = await serve(Scripted([started(), delta("a"), go_on, delta("b"), finished()]), closing)
    stub = openai_pb2_grpc.OpenAIStub(channel)
    parts = aiter(stub.CreateChatCompletion(HttpBody(data=body(stream=True))))
    first = read((await anext(parts)).data)
    assert [event["choices"][0]["delta"].get("content") for event in first] == ["", "a"]
    go_on.set()
    rest = read(*[part.data async for part in parts])
    assert rest[-1] == "data: [DONE]"


async def test_decisions_for_who_asks(closing: AsyncExitStack) -> None:
    script = [started(), inference_decision(), delta("a"), finished()]
    channel = await serve(Scripted(script), closing)
    asking = {"catenary": {"include_decisions": True}}
    (part,) = await post(channel, body(**asking))
    told = json.loads(part.data)["catenary"]["decisions"]
    assert [list(decision) for decision in told] == [["gateway"], ["inference"]]
    events = read(*(part.data for part in await post(channel, body(stream=True, **asking))))
    told = [event["catenary"]["decision"] for event in events[:-1] if "catenary" in event]
    assert [list(decision) for decision in told] == [["gateway"], ["inference"]]
    (part,) = await post(channel, body())
    assert "catenary" not in json.loads(part.data)


async def test_the_completion_is_named_after_the_call(closing: AsyncExitStack) -> None:
    upstream = Scripted(answer("hi"))
    channel = await serve(upstream, closing)
    await post(channel, body(), **{"x-request-id": "from-envoy", "x-catenary-tenant": "other"})
    assert upstream.requests[0].request_id == "from-envoy"
    assert upstream.calls[0].tenant == "default"


async def test_what_observes_the_gateway_sees_no_claim_of_the_caller(
    closing: AsyncExitStack,
) -> None:
    observer = Scripted(answer("hi"))
    channel = await serve_bare(observer, closing)
    await post(channel, body(), **{"x-request-id": "two words", "x-catenary-tenant": "other"})
    assert observer.calls[0].tenant == "default"
    assert len(observer.calls[0].request_id) == 32


@pytest.mark.parametrize("stream", [False, True])
async def test_a_bad_body_is_refused_in_openais_shape(
    closing: AsyncExitStack, *, stream: bool
) -> None:
    upstream = Scripted(answer("hi"))
    channel = await serve(upstream, closing)
    status, error = await refusal(channel, body(temperature=9, stream=stream))
    assert status.code() == grpc.StatusCode.INVALID_ARGUMENT
    text = "temperature: must be greater than or equal to 0 and less than or equal to 2"
    assert error == {
        "message": text,
        "type": "invalid_request_error",
        "param": "temperature",
        "code": None,
    }
    told = rpc_status.from_rpc_error(status, "gateway")
    assert told.reason == reasons.ERROR_REASON_INVALID_REQUEST
    assert told.violations[0].field == "temperature"
    assert upstream.requests == []


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_before_the_first_delta_has_its_own_status(
    closing: AsyncExitStack, *, stream: bool
) -> None:
    script: list[Step] = [started(), inference_decision(), errors.queue_full("pocket", 1.2)]
    channel = await serve(Scripted(script), closing)
    asking = {"catenary": {"include_decisions": True}}
    status, error = await refusal(channel, body(stream=stream, **asking))
    assert status.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error["type"] == "rate_limit_error"
    assert dict(status.trailing_metadata())["retry-after"] == "2"


async def test_an_error_in_the_stream_is_its_last_event(closing: AsyncExitStack) -> None:
    script: list[Step] = [started(), delta("a"), errors.upstream_failed("triton")]
    channel = await serve(Scripted(script), closing)
    events = read(*(part.data for part in await post(channel, body(stream=True))))
    assert events[-1]["error"]["code"] == "upstream_failed"


@pytest.mark.parametrize("script", [[], [started(), delta("a")]])
async def test_a_defect_tells_nothing_of_itself(
    closing: AsyncExitStack, script: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    channel = await serve(Scripted([*script, ZeroDivisionError("secret")]), closing)
    if script:
        events = read(*(part.data for part in await post(channel, body(stream=True))))
        error = events[-1]["error"]
    else:
        _, error = await refusal(channel, body(stream=True))
    assert error["code"] == "internal"
    assert "secret" not in error["message"]
    assert "secret" in caplog.text


@dataclass
class Stalled:
    """Begins an answer and does not go on."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:  # noqa: ARG002
        try:
            yield started()
            yield delta("a")
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.closed.set()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_who_leaves_cancels_the_generation(
    closing: AsyncExitStack, *, stream: bool
) -> None:
    upstream = Stalled()
    channel = await serve(upstream, closing)
    leaving = asyncio.create_task(post(channel, body(stream=stream)))
    await upstream.begun.wait()
    leaving.cancel()
    await upstream.closed.wait()


async def test_models(closing: AsyncExitStack) -> None:
    channel = await serve(Scripted([]), closing)
    openai = openai_pb2_grpc.OpenAIStub(channel)
    listed = await openai.ListOpenAIModels(openai_pb2.ListOpenAIModelsRequest())
    pocket = {
        "id": "pocket",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "catenary",
        "context_window": 1024,
        "engine": "openvino",
        "version": 0,
        "precision": "",
        "capabilities": [],
        "state": "unspecified",
    }
    assert json.loads(listed.data) == {
        "object": "list",
        "data": [{**pocket, "id": "answers"}, pocket],
    }
    one = await openai.GetOpenAIModel(openai_pb2.GetOpenAIModelRequest(model="pocket"))
    assert json.loads(one.data) == pocket
    assert one.content_type == listed.content_type == "application/json"

    native = models_pb2_grpc.ModelsStub(channel)
    every = await native.ListModels(models_pb2.ListModelsRequest())
    assert [model.name for model in every.models] == ["answers", "pocket"]
    model = await native.GetModel(models_pb2.GetModelRequest(model="pocket"))
    assert model.context_window == 1024


@pytest.mark.parametrize(
    ("name", "code", "openai_code"),
    [
        ("gpt-7", grpc.StatusCode.NOT_FOUND, "model_not_found"),
        ("", grpc.StatusCode.INVALID_ARGUMENT, None),
        ("m" * 10_000, grpc.StatusCode.INVALID_ARGUMENT, None),
    ],
    ids=["unknown", "empty", "huge"],
)
async def test_a_model_that_is_not_there(
    closing: AsyncExitStack, name: str, code: grpc.StatusCode, openai_code: str | None
) -> None:
    channel = await serve(Scripted([]), closing)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await models_pb2_grpc.ModelsStub(channel).GetModel(models_pb2.GetModelRequest(model=name))
    assert caught.value.code() == code
    openai = openai_pb2_grpc.OpenAIStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await openai.GetOpenAIModel(openai_pb2.GetOpenAIModelRequest(model=name))
    assert caught.value.code() == code
    trailers = dict(caught.value.trailing_metadata())
    error = json.loads(trailers["x-catenary-error"])["error"]
    assert (error["code"], error["param"]) == (openai_code, "model")


async def test_the_native_contract(closing: AsyncExitStack) -> None:
    channel = await serve(Scripted(answer("Hel", "lo")), closing)
    stub = generation_pb2_grpc.GenerationStub(channel)
    events = [event async for event in stub.Generate(a_request())]
    assert kinds(events) == ["started", "delta", "finished"]
