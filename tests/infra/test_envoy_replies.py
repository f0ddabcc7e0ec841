"""What Envoy answers by itself, in the shape of the API asked; and what it lets through."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import generation_pb2_grpc
from infra.envoy import render
from tests.infra.conftest import Edge, StartEdge, free_port, process
from tests.infra.upstream import Seen

LIMIT = 2048
CHAT = "/v1/chat/completions"
GENERATE = "/catenary/v1/generate"
NATIVE_CODES = {404: 5, 413: 8, 400: 3, 503: 14, 431: 8}


@pytest.fixture
async def small(start_edge: StartEdge, upstream: str) -> Edge:
    return await start_edge({"gateway": [upstream]}, max_body_bytes=LIMIT)


@pytest.fixture
async def lonely(start_edge: StartEdge) -> Edge:
    return await start_edge({"gateway": [f"127.0.0.1:{free_port()}"]})


def assert_openai(response: httpx.Response, status: int, code: str, says: str) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    error: dict[str, Any] = response.json()["error"]
    assert says in error.pop("message")
    kind = (
        "server_error" if status >= httpx.codes.INTERNAL_SERVER_ERROR else "invalid_request_error"
    )
    assert error == {"type": kind, "param": None, "code": code}


def assert_native(response: httpx.Response, status: int, says: str) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    assert says in answer.pop("message")
    assert answer == {"code": NATIVE_CODES[status]}


async def assert_grpc(
    edge: Edge, method: str, body: bytes, code: grpc.StatusCode, says: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await edge.channel.unary_unary(method, request_serializer=bytes)(body)
    assert caught.value.code() == code
    assert says in (caught.value.details() or "")


async def test_nothing_there(edge: Edge) -> None:
    assert_openai(await edge.http.get("/v1/nope?a=b"), 404, "unknown_url", "no GET /v1/nope;")
    assert_openai(await edge.http.get(CHAT), 404, "unknown_url", f"there are POST {CHAT},")
    assert_native(await edge.http.get("/nope"), 404, "POST /catenary/v1/generate")
    assert_native(await edge.http.get(GENERATE), 404, f"no GET {GENERATE}")
    await assert_grpc(edge, "/no/Such", b"", grpc.StatusCode.UNIMPLEMENTED, "no POST /no/Such")


async def test_a_body_over_the_limit(small: Edge, seen: Seen) -> None:
    body = b" " * (LIMIT + 1)
    says = f"the request body is over the limit of {LIMIT} bytes"
    assert_openai(await small.http.post(CHAT, content=body), 413, "request_too_large", says)
    assert_native(await small.http.post(GENERATE, content=body), 413, says)
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    more_than_a_read = b" " * 4_000_000
    await assert_grpc(small, "/catenary.v1.Generation/Generate", more_than_a_read, code, says)
    assert seen.calls == 0


async def test_a_body_at_the_limit(small: Edge) -> None:
    frame_bytes = 5
    filler = pb.GenerateRequest(model="echo", end_user="x" * (LIMIT - frame_bytes - 9))
    assert filler.ByteSize() + frame_bytes == LIMIT
    stub = generation_pb2_grpc.GenerationStub(small.channel)
    assert len([event async for event in stub.Generate(filler)]) == 3
    body = b'{"model":"echo"}'.ljust(LIMIT)
    assert (await small.http.post(GENERATE, content=body)).status_code == httpx.codes.OK


@pytest.mark.parametrize("headers", [{"x": "y" * 70_000}, {f"x{i}": "y" for i in range(120)}])
async def test_headers_over_the_limit(edge: Edge, headers: dict[str, str]) -> None:
    response = await edge.http.get("/v1/models", headers=headers)
    assert response.status_code == httpx.codes.REQUEST_HEADER_FIELDS_TOO_LARGE
    assert "64 KiB or 100 headers" in response.text


@pytest.mark.parametrize("path", ["%ff", "%c0%80", "%ed%a0%80", "%f5%80%80%80", "a%80"])
async def test_a_path_that_is_not_utf8(edge: Edge, seen: Seen, path: str) -> None:
    response = await edge.http.get(f"/v1/models/{path}")
    assert_openai(response, 400, "invalid_request", "the path is not UTF-8")
    assert_native(await edge.http.get(f"/catenary/v1/models/{path}"), 400, "the path is not UTF-8")
    assert seen.calls == 0


@pytest.mark.parametrize("path", ["%c3%a9", "%e6%a8%a1", "%f0%9f%98%80", "100%"])
async def test_a_path_of_other_letters(edge: Edge, path: str) -> None:
    response = await edge.http.get(f"/v1/models/{path}")
    assert response.json()["error"]["code"] == "model_not_found"


async def test_what_is_not_http_gets_an_answer(edge: Edge) -> None:
    host, _, port = edge.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v1/models HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
    writer.close()
    await writer.wait_closed()


async def test_no_gateway(lonely: Edge) -> None:
    says = "the gateway cannot be reached; try again in 1 s"
    answer = await lonely.http.post(CHAT, json={"model": "echo"})
    assert_openai(answer, 503, "upstream_unreachable", says)
    assert answer.headers["retry-after"] == "1"
    assert_openai(await lonely.http.get("/v1/models"), 503, "upstream_unreachable", says)
    assert_native(await lonely.http.post(GENERATE, json={"model": "echo"}), 503, says)
    code = grpc.StatusCode.UNAVAILABLE
    await assert_grpc(lonely, "/catenary.v1.Generation/Generate", b"", code, says)


async def test_connections_over_the_limit_are_refused(start_edge: StartEdge, upstream: str) -> None:
    edge = await start_edge({"gateway": [upstream]}, max_connections=1)
    assert (await edge.http.get("/v1/models")).status_code == httpx.codes.OK
    async with httpx.AsyncClient(base_url=f"http://{edge.address}") as second:
        with pytest.raises(httpx.TransportError):
            await second.get("/v1/models")
    assert (await edge.http.get("/v1/models")).status_code == httpx.codes.OK


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_an_upgrade_is_ignored(edge: Edge, protocol: str) -> None:
    headers = {"connection": "Upgrade", "upgrade": protocol}
    assert (await edge.http.get("/v1/models", headers=headers)).status_code == httpx.codes.OK


async def test_requests_over_the_limit_are_refused(start_edge: StartEdge, upstream: str) -> None:
    edge = await start_edge({"gateway": [upstream]}, max_connections=1)
    stub = generation_pb2_grpc.GenerationStub(edge.channel)
    held = stub.Generate(pb.GenerateRequest(model="held"))
    assert (await anext(aiter(held))).HasField("started")
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    await assert_grpc(edge, "/catenary.v1.Models/ListModels", b"", code, "as many requests")
    held.cancel()


async def test_callers_cannot_speak_for_the_mesh(edge: Edge, seen: Seen) -> None:
    forged = {"x-catenary-tenant": "other", "x-envoy-retry-on": "5xx", "x-kept": "yes"}
    await edge.http.get("/catenary/v1/models", headers=forged)
    assert seen.metadata["x-kept"] == "yes"
    assert not seen.metadata.keys() & {"x-catenary-tenant", "x-envoy-retry-on"}


async def test_every_request_has_an_id(edge: Edge, seen: Seen) -> None:
    kept = await edge.http.get("/v1/models", headers={"x-request-id": "mine"})
    assert kept.headers["x-request-id"] == seen.metadata["x-request-id"] == "mine"
    made = await edge.http.get("/v1/models")
    assert made.headers["x-request-id"] == seen.metadata["x-request-id"] != ""


async def test_the_admin_interface_shows_and_does_not_act(edge: Edge) -> None:
    metrics = await edge.http.get(f"http://{edge.admin}/stats/prometheus")
    assert "envoy_cluster_upstream_rq" in metrics.text
    for path in ("quitquitquit", "config_dump"):
        answer = await edge.http.post(f"http://{edge.admin}/{path}")
        assert answer.status_code == httpx.codes.FORBIDDEN


async def test_a_taken_port_ends_the_second_envoy(edge: Edge, tmp_path: Path) -> None:
    first = tmp_path / f"{edge.address.rpartition(':')[2]}.yaml"
    admin_port = edge.admin.rpartition(":")[2]
    second = tmp_path / "second.yaml"
    second.write_text(first.read_text().replace(admin_port, str(free_port())))
    async with process(*render.command(second, workers=1)) as envoy, asyncio.timeout(20):
        assert await envoy.wait() == 1
