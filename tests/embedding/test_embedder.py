"""all-MiniLM-L6-v2 as it is served: what its vectors are, and what is refused."""

import asyncio

import numpy as np
import pytest

from infra.embedding.embedder import Embedder
from infra.embedding.errors import TextTooLongError
from infra.embedding.shape import Shape
from infra.embedding.weights import Weights
from tests.embedding import reference

TEXTS = (
    "The cat sits outside",
    "A man is playing guitar",
    "Someone plays an instrument",
    "x",
    "Größe, naïve café, Ελλάδα, 東京, 🙂 and \u202eright to left",
    "many words " * 100,
    " ",
    "\x00\n\t",
)


async def test_the_graph_computes_what_the_definition_says(
    embedder: Embedder, stored: Weights, shape: Shape
) -> None:
    embedded = await embedder.embed(TEXTS)
    for text, vector in zip(await embedder.tokenize(TEXTS), embedded.vectors, strict=True):
        expected = reference.vector(stored, shape, list(text))
        np.testing.assert_allclose(vector, expected, atol=1e-5)


async def test_every_vector_has_length_1(embedder: Embedder) -> None:
    vectors = (await embedder.embed(TEXTS)).vectors
    assert vectors.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


async def test_a_vector_does_not_depend_on_its_company(embedder: Embedder) -> None:
    together = (await embedder.embed(TEXTS)).vectors
    turned = (await embedder.embed(TEXTS[::-1])).vectors[::-1]
    at_once = await asyncio.gather(*(embedder.embed([text]) for text in TEXTS))
    for index, text in enumerate(TEXTS):
        alone = (await embedder.embed([text])).vectors[0]
        for vector in (together[index], turned[index], at_once[index].vectors[0]):
            np.testing.assert_allclose(vector, alone, atol=1e-5)


async def test_near_in_meaning_is_near_as_vectors(embedder: Embedder) -> None:
    question, same, close, other = (
        await embedder.embed(
            [
                "How do I reset my password?",
                "how do i reset my password ?",
                "I forgot my login credentials, what should I do?",
                "The train to Rome leaves at noon.",
            ]
        )
    ).vectors
    assert question @ same > 0.95
    assert question @ same > question @ close > question @ other
    assert question @ other < 0.2


async def test_tokens_are_counted_with_those_that_enclose_a_text(embedder: Embedder) -> None:
    assert (await embedder.embed(["cat", "cat cat", " "])).tokens == 3 + 4 + 2


async def test_a_text_is_never_cut_short(embedder: Embedder) -> None:
    longest = "cat " * (embedder.max_tokens - 2)
    # The file that the tokenizer is read from cuts at 128 tokens, and pads up to as many.
    assert (await embedder.embed([longest])).tokens == embedder.max_tokens == 256
    with pytest.raises(TextTooLongError) as caught:
        await embedder.embed(["fine", longest + "cat"])
    assert (caught.value.index, caught.value.tokens, caught.value.max_tokens) == (1, 257, 256)


async def test_a_text_of_a_megabyte_is_refused(embedder: Embedder) -> None:
    with pytest.raises(TextTooLongError) as caught:
        await embedder.embed(["word " * 200_000])
    assert caught.value.tokens == 200_002
