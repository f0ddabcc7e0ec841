"""The native API through Envoy: gRPC, gRPC-web, JSON."""

import asyncio
import json
import struct
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import generation_pb2_grpc, message_pb2
from services import rpc_status
from tests.infra.conftest import Edge
from tests.infra.upstream import Seen

GENERATE = "/catenary/v1/generate"


def request(model: str, text: str = "hi") -> pb.GenerateRequest:
    part = message_pb2.ContentPart(text=text)
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, content=[part])
    return pb.GenerateRequest(model=model, messages=[turn])


def as_json(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "ROLE_USER", "content": [{"text": "hi"}]}]}


def events(response: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.text.splitlines()]


async def test_grpc(edge: Edge) -> None:
    stub = generation_pb2_grpc.GenerationStub(edge.channel)
    kinds = [event.WhichOneof("event") async for event in stub.Generate(request("echo"))]
    assert kinds == ["started", "delta", "finished"]


async def test_grpc_failures_keep_their_details(edge: Edge) -> None:
    stub = generation_pb2_grpc.GenerationStub(edge.channel)
    for model, reason in (("limited", "QUEUE_FULL"), ("broken", "INTERNAL")):
        call = stub.Generate(request(model))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
        assert rpc_status.from_rpc_error(caught.value, "gateway").reason_name == reason


async def test_grpc_deadline_reaches_the_gateway(edge: Edge, seen: Seen) -> None:
    stub = generation_pb2_grpc.GenerationStub(edge.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in stub.Generate(request("held"), timeout=0.3):
            pass
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(10):
        await seen.cancelled.wait()


async def test_grpc_health(edge: Edge) -> None:
    stub = health_pb2_grpc.HealthStub(edge.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_json_is_one_event_a_line(edge: Edge) -> None:
    response = await edge.http.post(GENERATE, json=as_json("echo"))
    assert response.headers["content-type"] == "application/x-ndjson"
    assert events(response) == [
        {"started": {"model": "echo"}},
        {"delta": {"text": "hi"}},
        {"finished": {"choices": [{"finish_reason": "FINISH_REASON_STOP"}]}},
    ]


async def test_json_events_arrive_when_they_are_sent(edge: Edge, seen: Seen) -> None:
    async with edge.http.stream("POST", GENERATE, json=as_json("held")) as response:
        lines = response.aiter_lines()
        assert json.loads(await anext(lines)) == {"started": {"model": "held"}}
        seen.released.set()
        assert [next(iter(json.loads(line))) async for line in lines] == ["delta", "finished"]


async def test_json_models(edge: Edge) -> None:
    listed = await edge.http.get("/catenary/v1/models")
    assert listed.json() == {"models": [{"name": "echo"}, {"name": "org/echo"}]}
    one = await edge.http.get("/catenary/v1/models/org/echo")
    assert one.json() == {"name": "org/echo", "context_window": 512}


async def test_json_failures_are_statuses_with_details(edge: Edge) -> None:
    response = await edge.http.post(GENERATE, json=as_json("limited"))
    assert response.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert response.headers["retry-after"] == "2"
    assert response.json() == {
        "code": 8,
        "message": "the queue of model 'limited' is full; try again in 2.0 s",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "QUEUE_FULL",
                "domain": "catenary",
                "metadata": {"model": "limited"},
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": "2s"},
        ],
    }


async def test_a_json_stream_that_fails_has_no_finished(edge: Edge) -> None:
    response = await edge.http.post(GENERATE, json=as_json("broken"))
    assert events(response) == [{"started": {"model": "broken"}}]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model', "Closing quote expected in string."),
        (b"[1, 2]", "Root element must be a message."),
        (b'{"model": "\xff"}', "Encountered non UTF-8 code points."),
        (b'{"messages": [{"role": "ROLE_NO"}]}', 'messages[0].role: invalid value "ROLE_NO"'),
        (b'{"sampling": {"temperature": "hot"}}', "sampling.temperature"),
    ],
)
async def test_bad_json_is_named(edge: Edge, seen: Seen, body: bytes, says: str) -> None:
    response = await edge.http.post(GENERATE, content=body)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert response.json()["code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert says in response.json()["message"]
    assert seen.calls == 0


def frames(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        flags, length = struct.unpack(">BI", body[:5])
        found.append((flags, body[5 : 5 + length]))
        body = body[5 + length :]
    return found


async def grpc_web(edge: Edge, model: str) -> httpx.Response:
    message = request(model).SerializeToString()
    return await edge.http.post(
        "/catenary.v1.Generation/Generate",
        content=struct.pack(">BI", 0, len(message)) + message,
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
    )


async def test_grpc_web(edge: Edge) -> None:
    *messages, (trailer, trailers) = frames((await grpc_web(edge, "echo")).content)
    kinds = [pb.GenerateResponse.FromString(data).WhichOneof("event") for _, data in messages]
    assert kinds == ["started", "delta", "finished"]
    assert trailer == 0x80  # what marks trailers in gRPC-web's protocol
    assert b"grpc-status:0" in trailers


async def test_grpc_web_failure(edge: Edge) -> None:
    response = await grpc_web(edge, "limited")
    assert response.headers["grpc-status"] == "8"
    assert "limited" in response.headers["grpc-message"]


async def test_a_check_is_refused_for_a_field_that_there_is_not(edge: Edge) -> None:
    path = "/catenary/v1/safety:check"
    told = await edge.http.post(path, json={"text": "hi", "profile": "strict"})
    assert told.headers["content-type"] == "application/json"
    assert told.json()["verdict"] == "VERDICT_ALLOW"
    assert told.json()["profile"] == "strict"
    refused = await edge.http.post(path, json={"text": "hi", "profle": "strict"})
    assert refused.status_code == httpx.codes.BAD_REQUEST
    said = "profle: there is no such field; there are text, profile, source"
    assert refused.json()["message"] == said
    policy = await edge.http.get("/catenary/v1/safety/policy")
    assert policy.json() == {"profile": "own", "profiles": ["own"]}
