"""An embedding model, loaded: texts in, vectors out."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

from infra.embedding import package
from infra.embedding.batching import Batching, Ids, Vectors
from infra.embedding.errors import TextTooLongError
from infra.embedding.model import Model
from infra.embedding.shape import Shape
from infra.embedding.tokenizer import read_tokenizer

MAX_WAITING_TOKENS = 1_000_000
"""What waits at most, some minutes' work on two cores."""

# Texts of fewer characters together are tokenised at once: a thread would cost more.
_SHORT_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Embedded:
    """What texts have become."""

    vectors: Vectors
    """One row a text, in the order of the texts; each of length 1."""
    tokens: int
    """The tokens of all the texts."""


class Embedder:
    """Embeds the texts of concurrent callers together."""

    def __init__(
        self, shape: Shape, tokenizer: Tokenizer, compute: Model, max_waiting_tokens: int
    ) -> None:
        self.dimensions = shape.dimensions
        self.max_tokens = shape.max_tokens
        self._tokenizer = tokenizer
        self.queue = Batching(compute, max_waiting_tokens)

    @classmethod
    def load(cls, folder: Path, max_waiting_tokens: int = MAX_WAITING_TOKENS) -> Self:
        """Load the model of a folder in sentence-transformers' form; about a second of work.

        Raises:
            OSError: a file is missing.
            ValueError: a file is not what it should be, or the model is of another kind.
        """
        shape = Shape.read(folder)
        tokenizer = read_tokenizer(folder / "tokenizer.json")
        return cls(shape, tokenizer, Model.read(folder, shape), max_waiting_tokens)

    @classmethod
    def packaged(cls, max_waiting_tokens: int = MAX_WAITING_TOKENS) -> Self:
        """Load all-MiniLM-L6-v2, its weights held to their published checksum.

        Raises:
            OSError: its package is not installed.
            ValueError: the weights are others.
        """
        folder = package.folder()
        package.check(folder)
        return cls.load(folder, max_waiting_tokens)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text.

        Raises:
            TextTooLongError: a text has more than `max_tokens` tokens; none is cut short.
            QueueFullError: too much is waiting.
            RuntimeError: the model failed.
        """
        ids = await self.tokenize(texts)
        for index, tokens in enumerate(ids):
            if len(tokens) > self.max_tokens:
                raise TextTooLongError(index, len(tokens), self.max_tokens)
        return Embedded(await self.queue.embed(ids), sum(map(len, ids)))

    async def tokenize(self, texts: Sequence[str]) -> list[Ids]:
        """Return each text's tokens, the two that enclose it included."""
        if sum(map(len, texts)) < _SHORT_CHARS:
            return self._ids(texts)
        return await asyncio.to_thread(self._ids, texts)

    async def close(self) -> None:
        """Give back what computes; no call is in flight."""
        await self.queue.close()

    def _ids(self, texts: Sequence[str]) -> list[Ids]:
        # `encode_batch` lets other threads run, which `encode` does not.
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
