"""OpenAI's API through Envoy: bodies as they are, streams as they come, failures in its shape."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from tests.infra.conftest import Edge
from tests.infra.upstream import LARGE_BYTES, MODELS, Seen

CHAT = "/v1/chat/completions"


def asked(model: str, content: str = "hi", *, stream: bool = False) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "stream": stream,
    }


async def test_completion(edge: Edge) -> None:
    answer = await edge.openai.chat.completions.create(
        model="echo", messages=[{"role": "user", "content": "hello"}]
    )
    assert answer.choices[0].message.content == "5 characters"


async def test_one_body_of_json(edge: Edge) -> None:
    response = await edge.http.post(CHAT, json=asked("echo"))
    assert response.headers["content-type"] == "application/json"
    assert response.json()["object"] == "chat.completion"


async def test_stream(edge: Edge) -> None:
    stream = await edge.openai.chat.completions.create(
        model="echo", messages=[{"role": "user", "content": "hello"}], stream=True
    )
    assert [chunk.choices[0].delta.content async for chunk in stream] == ["one", "two"]


async def test_models(edge: Edge) -> None:
    assert [model.id async for model in edge.openai.models.list()] == list(MODELS)


@pytest.mark.parametrize("name", ["echo", "org/echo", "org%2Fecho", "echo?api-version=2"])
async def test_model(edge: Edge, name: str) -> None:
    response = await edge.http.get(f"/v1/models/{name}")
    assert response.json()["id"] == name.removesuffix("?api-version=2").replace("%2F", "/")


@pytest.mark.parametrize("http2", [False, True])
async def test_each_chunk_arrives_when_it_is_sent(edge: Edge, seen: Seen, *, http2: bool) -> None:
    curl = ["--http2-prior-knowledge"] if http2 else []
    body = json.dumps(asked("held", stream=True))
    child = await asyncio.create_subprocess_exec(
        *("curl", "-sN", *curl, "-d", body, f"http://{edge.address}{CHAT}"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    assert b"one" in await child.stdout.readline()
    # The server waits for this, so that the first chunk cannot have come with the second.
    seen.released.set()
    rest, _ = await child.communicate()
    assert b"two" in rest
    assert rest.endswith(b"data: [DONE]\n\n")


async def test_a_caller_who_leaves_cancels_the_call(edge: Edge, seen: Seen) -> None:
    async with edge.http.stream("POST", CHAT, json=asked("held", stream=True)) as response:
        assert "one" in await anext(response.aiter_lines())
    async with asyncio.timeout(10):
        await seen.cancelled.wait()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["limited", "late"])
async def test_failure_before_the_answer(edge: Edge, model: str, *, stream: bool) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await edge.openai.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}], stream=stream
        )
    assert caught.value.code == "queue_full"
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.response.headers["content-type"] == "application/json"
    assert "x-catenary-error" not in caught.value.response.headers
    assert caught.value.response.json() == {
        "error": {
            "message": f"the queue of model {model!r} is full; try again in 2.0 s",
            "code": "queue_full",
        }
    }


@pytest.mark.parametrize("body", [b'{"model', b"", b"\xff"])
async def test_what_is_not_json_is_the_gateways_to_refuse(edge: Edge, body: bytes) -> None:
    response = await edge.http.post(CHAT, content=body)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert response.json()["error"]["message"] == "the body is not JSON"


async def test_unknown_model(edge: Edge) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await edge.openai.models.retrieve("none")
    assert caught.value.code == "model_not_found"


async def test_a_failure_of_grpc_itself(edge: Edge) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await edge.openai.chat.completions.create(
            model="stopping", messages=[{"role": "user", "content": "hi"}]
        )
    assert caught.value.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert caught.value.code == "upstream_failed"
    assert caught.value.type == "server_error"


async def test_a_prompt_of_a_megabyte(edge: Edge) -> None:
    response = await edge.http.post(CHAT, json=asked("echo", "x" * 1_000_000))
    assert response.json()["choices"][0]["message"]["content"] == "1000000 characters"


async def test_an_answer_of_megabytes(edge: Edge) -> None:
    response = await edge.http.post(CHAT, json=asked("large"))
    assert len(response.json()["choices"][0]["message"]["content"]) == LARGE_BYTES
