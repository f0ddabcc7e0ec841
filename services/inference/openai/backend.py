"""The backend of a model that a server with OpenAI's API computes."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import embeddings_pb2, models_pb2
from catenary.v1 import generation_pb2 as pb
from services import errors
from services.inference.features import Feature
from services.inference.openai import counts, embeddings, listing
from services.inference.openai.chat import chat
from services.inference.openai.client import HttpClient
from services.inference.openai.completion import Completion
from services.inference.openai.dialect import DIALECTS, Dialect
from services.inference.openai.failures import Failures
from services.inference.openai.gate import Gate
from services.inference.openai.key import Key
from services.inference.openai.sse import EventReader
from services.inference.openai.upstream import Upstream, read
from services.link import Call, Events

_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_EVENTS = "text/event-stream"
_OPEN_S = 10.0
_THERE = (HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
"""What a server says that is there; not every one lists its models."""
_CHAT = ("chat",)
_FEATURES = {
    "tools": Feature.TOOLS,
    "tool_choice": Feature.FORCED_TOOLS,
    "json_schema": Feature.JSON_SCHEMA,
    "regex": Feature.REGEX,
    "logprobs": Feature.LOGPROBS,
}
"""What of a card's words a kind of server may refuse."""


@dataclass(slots=True)
class OpenAiBackend:
    """One model: its card, its name on the server, and the server."""

    card: models_pb2.Model
    model: str
    dialect: Dialect
    upstream: Upstream
    claims: Sequence[str]
    """What it can do by its configuration or, once open, by the server's list."""

    @classmethod
    def configured(
        cls, config: config_pb.ModelConfig, card: models_pb2.Model, client: HttpClient
    ) -> Self:
        """Build the backend of a model whose configuration has `openai`, defaults filled in.

        Raises:
            ValueError: the API key is not where it should be.
        """
        target = config.openai
        dialect = DIALECTS[target.kind]
        model = target.model or config.name
        upstream = Upstream(
            client=client,
            base_url=target.base_url.rstrip("/"),
            key=Key.configured(target),
            headers=dict(target.headers),
            connect_timeout_s=target.connect_timeout.ToNanoseconds() / 1e9,
            idle_timeout_s=target.idle_timeout.ToNanoseconds() / 1e9,
            gate=Gate(config.name, target.max_calls),
            failures=Failures(dialect.name, config.name, model, card.context_window),
        )
        return cls(card, model, dialect, upstream, tuple(target.capabilities))

    @property
    def engine(self) -> str:
        """The server's kind."""
        return self.dialect.name

    @property
    def capabilities(self) -> list[str]:
        """What it claims and the server's kind does not refuse, in words for its card.

        Nothing else is known: what a server takes of one model, it may refuse of another.
        """
        refused = {word for word, feature in _FEATURES.items() if feature in self.dialect.refusals}
        if not self.dialect.has_embeddings:
            refused.add("embeddings")
        return [word for word in self.claims or _CHAT if word not in refused]

    async def open(self) -> None:
        """Return when the server answers and takes the key; tokens would cost, and none are asked.

        Raises:
            MeshError: it does not; with a time to come back.
        """
        call = Call("open", deadline=time.monotonic() + _OPEN_S)
        url = f"{self.upstream.base_url}/models"
        async with self.upstream.asking(url, None, call, _THERE) as response:
            if not self.claims:
                told = await read(response, _MAX_ANSWER_BYTES)
                self.claims = listing.capabilities(told, self.model)

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the model's completion; `started` comes with the server's first headers.

        Raises:
            MeshError: the request asks for what the server cannot do, or the call fails.
        """
        completion = Completion(
            request, self.card, self.dialect, self.upstream.failures, time.monotonic()
        )
        body = chat(request, self.model, self.dialect)
        url = f"{self.upstream.base_url}/chat/completions"
        async with self.upstream.asking(url, body, call) as response:
            if response.content_type != _EVENTS:
                said = await read(response, _MAX_ANSWER_BYTES)
                raise self.upstream.failures.of_no_stream(said)
            started = pb.Started(request_id=call.request_id, model=request.model)
            yield pb.GenerateResponse(started=started)
            reader = EventReader()
            async for data in response.content.iter_any():
                for given in reader.feed(data):
                    for event in completion.read(given):
                        yield event
                if completion.is_done:
                    break
            for event in completion.end():
                yield event
        for event in completion.finish():
            yield event

    async def count_tokens(self, request: pb.GenerateRequest, call: Call) -> int:
        """Return the tokens of the prompt that `request` would make, as the server counts them.

        Raises:
            MeshError: UNSUPPORTED where the server cannot count, or the call fails.
        """
        counting = self.dialect.counting
        if counting is None:
            raise errors.unsupported("model", request.model, "its server cannot count tokens")
        root = self.upstream.base_url.removesuffix("/v1")
        url = f"{root if counting.is_under_root else self.upstream.base_url}/{counting.path}"
        body = chat(request, self.model, self.dialect)
        async with self.upstream.asking(url, body, call) as response:
            return counts.read(counting, await read(response, _MAX_ANSWER_BYTES))

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return a vector for each text.

        Raises:
            MeshError: UNSUPPORTED where the server makes no vectors, or the call fails.
        """
        if not self.dialect.has_embeddings:
            raise errors.unsupported("model", request.model, "its server makes no embeddings")
        url = f"{self.upstream.base_url}/embeddings"
        body = embeddings.body(request, self.model)
        async with self.upstream.asking(url, body, call) as response:
            data = await read(response, embeddings.MAX_BYTES)
            # Many vectors take long to read.
            return await asyncio.to_thread(embeddings.read, data, request, self.card.name)

    async def close(self) -> None:
        """Hold nothing: the client is its owner's."""
