"""The terminal link: each request goes to the backend that computes its model."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

from catenary.v1 import embeddings_pb2, tokens_pb2
from catenary.v1 import generation_pb2 as pb
from services import errors
from services.catalogue import Catalogue
from services.inference.backend import Backend
from services.link import Call, Events


@dataclass(frozen=True, slots=True)
class Inference:
    """Generates with the models that are served."""

    models: Mapping[str, Backend]
    """What serves each name that can be asked for, from one moment to the next."""
    catalogue: Catalogue

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the model's completion.

        `started` comes when the engine has taken the request: whoever stands before this link can
        still go elsewhere when it has no room, and `started` is on its way before the first token.

        Raises:
            MeshError: the model is not served, or its backend refuses the request or fails.
        """
        backend = self._backend(request.model)
        async with aclosing(backend.generate(request, call)) as events:
            async for event in events:
                yield event

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return a vector for each text.

        Raises:
            MeshError: the model is not served, or its backend refuses the request or fails.
        """
        return await self._backend(request.model).embed(request, call)

    async def count_tokens(
        self, request: tokens_pb2.CountTokensRequest, call: Call
    ) -> tokens_pb2.CountTokensResponse:
        """Return the tokens of the prompt that the conversation makes.

        Raises:
            MeshError: the model is not served, or its backend refuses the messages.
        """
        prompted = pb.GenerateRequest(
            model=request.model, messages=request.messages, tools=request.tools
        )
        backend = self._backend(request.model)
        # An adapter's name follows its model's.
        card = (await self.catalogue.cards())[request.model.partition(":")[0]]
        return tokens_pb2.CountTokensResponse(
            input_tokens=await backend.count_tokens(prompted, call),
            context_window=card.context_window,
            served_model=request.model,
        )

    def _backend(self, model: str) -> Backend:
        backend = self.models.get(model)
        if backend is None:
            raise errors.model_not_found(model)
        return backend
