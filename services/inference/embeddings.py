"""The backend of an embedding model: texts become vectors, in this process."""

import asyncio
import logging
from pathlib import Path

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import embeddings_pb2, message_pb2
from catenary.v1 import generation_pb2 as pb
from infra.embedding.embedder import Embedded, Embedder
from infra.embedding.errors import QueueFullError, TextTooLongError
from services import errors
from services.inference.engine_metrics import EngineCollector
from services.link import Call, Events

logger = logging.getLogger(__name__)

ENGINE = "embeddings"
"""The engine's name in a model's configuration."""


class EmbeddingsBackend:
    """One embedding model: all-MiniLM-L6-v2, unless its configuration names a folder."""

    def __init__(self, config: config_pb.ModelConfig, engines: EngineCollector) -> None:
        self._config = config
        self._engines = engines
        self._opened: Embedder | None = None

    @property
    def engine(self) -> str:
        """What computes it."""
        return ENGINE

    @property
    def capabilities(self) -> list[str]:
        """What the model can do, in words for its card."""
        return ["embeddings"]

    async def open(self) -> None:
        """Load the model.

        Raises:
            OSError: a file is missing.
            ValueError: a file is not what it should be, or the model is of another kind.
        """
        self._opened = await asyncio.to_thread(_load, self._config)
        self._engines.queues[self._config.name] = self._opened.queue

    async def generate(self, request: pb.GenerateRequest, _call: Call) -> Events:
        """Refuse: the model makes vectors.

        Raises:
            MeshError: UNSUPPORTED.
        """
        raise errors.unsupported("model", request.model, "the model makes embeddings, and no text")
        yield  # Makes it the generator that a link's stream is.

    async def count_tokens(self, request: pb.GenerateRequest, _call: Call) -> int:
        """Return the tokens of the conversation's texts: the model has no template round them.

        Raises:
            MeshError: UNSUPPORTED, for what is not text.
        """
        ids = await self._embedder.tokenize(_texts(request))
        return sum(map(len, ids))

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, _call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return a vector for each text.

        Raises:
            MeshError: UNSUPPORTED for `dimensions`, CONTEXT_WINDOW_EXCEEDED for a text that is too
                long, QUEUE_FULL, or UPSTREAM_FAILED.
        """
        if request.HasField("dimensions") and request.dimensions != self._embedder.dimensions:
            raise errors.unsupported(
                "dimensions",
                request.model,
                f"the model's vectors have {self._embedder.dimensions}, and cannot be shortened",
            )
        try:
            embedded = await self._embedder.embed(request.texts)
        except TextTooLongError as error:
            raise errors.text_too_long(error.index, error.tokens, error.max_tokens) from None
        except QueueFullError as error:
            raise errors.queue_full(self._config.name, error.retry_after_s) from None
        except RuntimeError:
            logger.exception("the embedding model failed", extra={"model": self._config.name})
            raise errors.upstream_failed(self._config.name) from None
        # Two thousand vectors take a tenth of a second to write.
        return await asyncio.to_thread(_response, embedded, self._config.name)

    async def close(self) -> None:
        """Give back the model."""
        if self._opened is None:
            return
        # The version that came after it has a queue of its own.
        if self._engines.queues[self._config.name] is self._opened.queue:
            del self._engines.queues[self._config.name]
        await self._opened.close()

    @property
    def _embedder(self) -> Embedder:
        if self._opened is None:
            raise errors.upstream_unreachable(self._config.name)
        return self._opened


def _load(config: config_pb.ModelConfig) -> Embedder:
    if config.path:
        return Embedder.load(Path(config.path), config.max_waiting_tokens)
    return Embedder.packaged(config.max_waiting_tokens)


def _response(embedded: Embedded, model: str) -> embeddings_pb2.EmbedResponse:
    return embeddings_pb2.EmbedResponse(
        embeddings=[embeddings_pb2.Embedding(values=row.tolist()) for row in embedded.vectors],
        usage=message_pb2.Usage(input_tokens=embedded.tokens),
        served_model=model,
    )


def _texts(request: pb.GenerateRequest) -> list[str]:
    texts = []
    for turn, message in enumerate(request.messages):
        for index, part in enumerate(message.content):
            kind = part.WhichOneof("part")
            if kind != "text":
                field = f"messages[{turn}].content[{index}].{kind}"
                raise errors.unsupported(field, request.model, "the model reads text only")
            texts.append(part.text)
    return texts
