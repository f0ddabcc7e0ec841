"""Embeddings and token counts in a whole mesh, in each placement."""

from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.mesh.conftest import Mesh


@pytest.fixture
def client(mesh: Mesh) -> Iterator[openai.OpenAI]:
    url = f"{mesh.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=30) as caller:
        yield caller


def test_near_in_meaning_is_near_as_vectors(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(
        model="minilm", input=["a cat sleeps", "the kitten is asleep", "a train to Rome"]
    )
    cat, kitten, train = (one.embedding for one in answer.data)
    assert dot(cat, cat) == pytest.approx(1, abs=1e-4)
    assert dot(cat, kitten) > 0.5 > dot(cat, train)
    assert answer.model == "minilm"
    assert answer.usage.prompt_tokens == 17


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("model", "text", "code", "param"),
    [
        ("minilm", "word " * 300, "context_length_exceeded", "input"),
        ("pocket", "a", "unsupported_parameter", "model"),
        ("none", "a", "model_not_found", "model"),
    ],
)
def test_a_refusal_is_the_inference_links_own(
    client: openai.OpenAI, model: str, text: str, code: str, param: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(model=model, input=text)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_native_json(mesh: Mesh) -> None:
    asked = {"model": "minilm", "texts": ["a", "b"]}
    answer = httpx.post(f"{mesh.url}/catenary/v1/embed", json=asked).json()
    assert [len(one["values"]) for one in answer["embeddings"]] == [384, 384]


def test_the_tokens_of_a_prompt_are_those_that_its_answer_costs(
    mesh: Mesh, client: openai.OpenAI
) -> None:
    question = "What is Catenary?"
    turn = {"role": "ROLE_USER", "content": [{"text": question}]}
    asked = {"model": "pocket", "messages": [turn]}
    counted = httpx.post(f"{mesh.url}/catenary/v1/tokens:count", json=asked).json()
    answer = client.chat.completions.create(
        model="pocket", messages=[{"role": "user", "content": question}], max_tokens=1
    )
    assert answer.usage is not None
    assert counted == {
        "input_tokens": answer.usage.prompt_tokens,
        "context_window": 2048,
        "served_model": "pocket",
    }
