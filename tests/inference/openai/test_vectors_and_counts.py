"""Embeddings and token counts."""

import base64
import struct
from typing import Any

import pytest

from catenary.v1 import embeddings_pb2 as pb
from services.errors import MeshError
from services.inference.openai.dialect import DIALECTS
from services.link import Call
from tests.inference.asking import asking
from tests.inference.openai.conftest import Connect
from tests.inference.openai.server import FakeServer, answer

TEXTS = pb.EmbedRequest(model="pocket", texts=["one", "two"], dimensions=2)


def packed(*values: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def vectors(*pairs: tuple[int, Any], tokens: int = 5) -> bytes:
    data = [{"index": index, "embedding": embedding} for index, embedding in pairs]
    return answer(200, {"data": data, "usage": {"prompt_tokens": tokens}})


@pytest.mark.parametrize("give", [packed, lambda *values: list(values)], ids=["text", "numbers"])
async def test_embeddings(server: FakeServer, connect: Connect, give: Any) -> None:
    server.will(vectors((1, give(0.0, -2.0)), (0, give(3.0, 4.0))))
    response = await connect("vllm").embed(TEXTS, Call("r1"))
    (exchange,) = server.exchanges
    assert exchange.path == "/v1/embeddings"
    assert exchange.body == {
        "model": "theirs",
        "input": ["one", "two"],
        "encoding_format": "base64",
        "dimensions": 2,
    }
    first, second = (list(embedding.values) for embedding in response.embeddings)
    assert first == pytest.approx([0.6, 0.8])
    assert second == pytest.approx([0.0, -1.0])
    assert (response.usage.input_tokens, response.served_model) == (5, "pocket")


@pytest.mark.parametrize(
    "given",
    [
        vectors((0, packed(1.0))),
        vectors((0, packed(1.0)), (0, packed(1.0))),
        vectors((0, packed(1.0)), (2, packed(1.0))),
        vectors((0, packed(1.0)), (1, "no base64")),
        vectors((0, packed(1.0)), (1, packed())),
        vectors((0, packed(1.0, 2.0)), (1, packed(1.0))),
        vectors((0, packed(1.0)), (1, packed(0.0, 0.0))),
        vectors((0, packed(1.0)), (1, packed(float("nan")))),
        vectors((0, packed(1.0)), (1, packed(1.0)), tokens=-1),
        answer(200, {"data": None}),
        answer(200, b"\xff"),
    ],
)
async def test_embeddings_that_are_none(server: FakeServer, connect: Connect, given: bytes) -> None:
    server.will(given)
    with pytest.raises(MeshError) as raised:
        await connect().embed(TEXTS, Call("r1"))
    assert raised.value.reason_name == "UPSTREAM_FAILED"


COUNTS = {
    "vllm": ("/tokenize", {"count": 8, "max_model_len": 2048, "tokens": [1]}),
    "llama_cpp": ("/v1/chat/completions/input_tokens", {"input_tokens": 8}),
    "tgi": ("/chat_tokenize", {"tokenize_response": [{"id": 1}] * 8, "templated_text": "x"}),
}


@pytest.mark.parametrize("kind", DIALECTS)
async def test_counting(server: FakeServer, connect: Connect, kind: str) -> None:
    backend = connect(kind)
    if kind not in COUNTS:
        with pytest.raises(MeshError) as raised:
            await backend.count_tokens(asking(), Call("r1"))
        assert raised.value.reason_name == "UNSUPPORTED"
        return
    path, told = COUNTS[kind]
    server.will(answer(200, told))
    assert await backend.count_tokens(asking("Hi"), Call("r1")) == 8
    (exchange,) = server.exchanges
    assert exchange.path == path
    assert exchange.body["messages"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("given", [{}, {"count": None}, {"count": -1}, {"count": "8"}, []])
async def test_a_count_that_is_none(server: FakeServer, connect: Connect, given: Any) -> None:
    server.will(answer(200, given))
    with pytest.raises(MeshError) as raised:
        await connect("vllm").count_tokens(asking(), Call("r1"))
    assert raised.value.reason_name == "UPSTREAM_FAILED"
