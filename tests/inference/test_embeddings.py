"""The embedding backend, with the real model."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from catenary.config.v1.models_pb2 import ModelConfig
from catenary.v1 import embeddings_pb2 as pb
from catenary.v1 import error_reason_pb2 as reasons
from catenary.v1 import message_pb2
from infra.embedding.errors import QueueFullError
from services.config import MODEL_DEFAULTS
from services.errors import MeshError
from services.inference.embeddings import EmbeddingsBackend
from services.inference.engine_metrics import EngineCollector
from tests.fakes import call, outcome, request


@pytest.fixture(scope="module")
def backend() -> Iterator[EmbeddingsBackend]:
    config = ModelConfig()
    config.CopyFrom(MODEL_DEFAULTS)
    config.MergeFrom(ModelConfig(name="minilm", engine="embeddings"))
    opened = EmbeddingsBackend(config, EngineCollector())
    asyncio.run(opened.open())
    yield opened
    asyncio.run(opened.close())


def texts(*given: str, dimensions: int | None = None) -> pb.EmbedRequest:
    return pb.EmbedRequest(model="minilm", texts=given, dimensions=dimensions)


async def test_a_vector_for_each_text(backend: EmbeddingsBackend) -> None:
    response = await backend.embed(texts("a cat", "a small cat", "a train"), call())
    cat, small, train = (np.array(vector.values) for vector in response.embeddings)
    assert cat @ small > cat @ train
    assert response.usage.input_tokens == 4 + 5 + 4
    assert response.served_model == "minilm"


async def test_as_many_as_a_request_may_hold(backend: EmbeddingsBackend) -> None:
    given = [f"text {index % 7}" for index in range(2048)]
    response = await backend.embed(texts(*given), call())
    assert len(response.embeddings) == 2048
    for index in (7, 700, 2044):
        np.testing.assert_allclose(
            response.embeddings[index].values, response.embeddings[index % 7].values, atol=1e-5
        )


async def test_dimensions_other_than_its_own_are_refused(backend: EmbeddingsBackend) -> None:
    assert (await backend.embed(texts("a", dimensions=384), call())).embeddings
    with pytest.raises(MeshError) as caught:
        await backend.embed(texts("a", dimensions=128), call())
    assert caught.value.reason == reasons.ERROR_REASON_UNSUPPORTED
    assert caught.value.metadata["field"] == "dimensions"


async def test_a_text_that_is_too_long_is_named(backend: EmbeddingsBackend) -> None:
    with pytest.raises(MeshError) as caught:
        await backend.embed(texts("fine", "word " * 300), call())
    assert caught.value.reason == reasons.ERROR_REASON_CONTEXT_WINDOW_EXCEEDED
    assert str(caught.value) == "texts[1]: has 302 tokens, but the model reads at most 256"


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (QueueFullError(7), reasons.ERROR_REASON_QUEUE_FULL),
        (RuntimeError("a driver's words"), reasons.ERROR_REASON_UPSTREAM_FAILED),
    ],
)
async def test_what_goes_wrong_is_told_in_the_meshs_words(
    backend: EmbeddingsBackend,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    reason: reasons.ErrorReason.ValueType,
) -> None:
    async def fail(_: object) -> None:
        raise raised

    monkeypatch.setattr(backend._embedder, "embed", fail)
    with pytest.raises(MeshError) as caught:
        await backend.embed(texts("a"), call())
    assert caught.value.reason == reason
    assert "driver" not in str(caught.value)


async def test_it_generates_no_text(backend: EmbeddingsBackend) -> None:
    events, error = await outcome(backend, request(), call())
    assert events == []
    assert isinstance(error, MeshError)
    assert error.reason == reasons.ERROR_REASON_UNSUPPORTED


async def test_tokens_are_counted(backend: EmbeddingsBackend) -> None:
    assert await backend.count_tokens(request("a small cat"), call()) == 5
    picture = message_pb2.ContentPart(media=message_pb2.Media(url="http://x"))
    asked = request()
    asked.messages[0].content.append(picture)
    with pytest.raises(MeshError) as caught:
        await backend.count_tokens(asked, call())
    assert caught.value.metadata["field"] == "messages[0].content[1].media"


async def test_its_queue_is_shown_until_it_is_given_up() -> None:
    engines = EngineCollector()
    registry = CollectorRegistry()
    registry.register(engines)

    def shown(name: str) -> float | None:
        return registry.get_sample_value(f"catenary_engine_{name}", {"model": "minilm"})

    config = ModelConfig(name="minilm", engine="embeddings", max_waiting_tokens=1000)
    first, second = (EmbeddingsBackend(config, engines) for _ in range(2))
    await first.open()
    asked = asyncio.create_task(first.embed(texts("a cat", "a dog"), call()))
    async with asyncio.timeout(20):
        while shown("sequences_running") != 2:  # noqa: ASYNC110 - metrics tell nobody
            await asyncio.sleep(0)
    assert shown("tokens_running") == 8
    assert (shown("sequences_waiting"), shown("tokens_waiting")) == (0, 0)
    # What it does not know it does not tell.
    assert shown("kv_cache_usage_ratio") is None
    await asked
    await second.open()
    await first.close()
    assert shown("sequences_running") == 0
    await second.close()
    assert shown("sequences_running") is None


async def test_a_folder_that_is_not_a_model_cannot_be_opened(tmp_path: Path) -> None:
    config = ModelConfig(name="minilm", engine="embeddings", path=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        await EmbeddingsBackend(config, EngineCollector()).open()
