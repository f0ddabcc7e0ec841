"""Embeddings and token counts through Envoy: OpenAI's API and native JSON."""

import httpx
import openai
import pytest

from services.config import DEFAULTS
from tests.infra.conftest import Edge
from tests.infra.upstream import LARGE_VECTOR, Seen


async def test_the_openai_package_left_to_itself(edge: Edge) -> None:
    answer = await edge.openai.embeddings.create(model="minilm", input=["hello"])
    assert answer.data[0].embedding == [0.5, -1]


async def test_a_body_of_json(edge: Edge) -> None:
    asked = {"model": "minilm", "input": "hello", "encoding_format": "float"}
    response = await edge.http.post("/v1/embeddings", json=asked)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["data"][0]["embedding"] == [0.5, -1]


async def test_a_failure_in_openais_shape(edge: Edge) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await edge.openai.embeddings.create(model="limited", input="hello")
    assert caught.value.code == "queue_full"
    assert caught.value.response.headers["retry-after"] == "2"


async def test_an_answer_may_be_larger_than_a_request(edge: Edge) -> None:
    asked = {"model": "large", "input": "hello", "encoding_format": "base64"}
    response = await edge.http.post("/v1/embeddings", json=asked)
    assert len(response.content) > 5 * LARGE_VECTOR > DEFAULTS.edge.max_body_bytes
    response = await edge.http.post("/catenary/v1/embed", json={"model": "large", "texts": ["a"]})
    assert response.content.count(b"0.5") == LARGE_VECTOR


async def test_native_json(edge: Edge) -> None:
    response = await edge.http.post(
        "/catenary/v1/embed", json={"model": "minilm", "texts": ["a", "b"]}
    )
    vector = {"values": [0.5, -1]}
    assert response.json() == {"embeddings": [vector, vector], "served_model": "minilm"}
    turn = {"role": "ROLE_USER", "content": [{"text": "hi"}]}
    response = await edge.http.post(
        "/catenary/v1/tokens:count", json={"model": "pocket", "messages": [turn]}
    )
    assert response.json() == {"input_tokens": 1}
    assert response.headers["content-type"] == "application/json"


async def test_a_native_failure_is_a_status_with_details(edge: Edge) -> None:
    response = await edge.http.post("/catenary/v1/embed", json={"model": "limited", "texts": ["a"]})
    assert response.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert response.json()["details"][0]["reason"] == "QUEUE_FULL"


@pytest.mark.parametrize("path", ["/catenary/v1/embed", "/catenary/v1/tokens:count"])
async def test_bad_json_is_named(edge: Edge, seen: Seen, path: str) -> None:
    response = await edge.http.post(path, content=b'{"model": 1, "texts"')
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert response.json()["code"] == 3
    assert seen.calls == 0


async def test_what_there_is_is_told_to_who_asks_for_something_else(edge: Edge) -> None:
    response = await edge.http.get("/v1/embeddings")
    assert response.status_code == httpx.codes.NOT_FOUND
    message = response.json()["error"]["message"]
    for endpoint in ("/v1/embeddings", "/catenary/v1/embed", "/catenary/v1/tokens:count"):
        assert f"POST {endpoint}" in message
