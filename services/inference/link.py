"""The terminal link: the prompt is made here, the completion in Triton."""

import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

import grpc

from catenary.config.v1 import mesh_pb2 as config_pb
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import models_pb2
from services import errors
from services.inference.completion import Completion
from services.inference.inputs import inputs
from services.inference.served import ServedModel
from services.inference.triton import TritonClient
from services.link import Call, Events
from services.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Inference:
    """Generates with the models that Triton serves."""

    models: Mapping[str, ServedModel]
    triton: TritonClient

    @classmethod
    def configured(
        cls,
        config: config_pb.InferenceConfig,
        cards: Mapping[str, models_pb2.Model],
        channel: grpc.aio.Channel,
        tracing: Tracing,
    ) -> Self:
        """Read the models' templates and tokenizers; `channel` leads to Triton.

        Raises:
            OSError: a model lacks a file.
            ValueError: a file is not what it should be.
        """
        models = {model.name: ServedModel.read(model, cards[model.name]) for model in config.models}
        return cls(models, TritonClient(channel, tracing))

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the model's completion.

        `started` comes when the engine has taken the request: whoever stands before this link can
        still go elsewhere when it has no room, and `started` is on its way before the first token.

        Raises:
            MeshError: the request asks for what the model cannot do, its prompt does not fit, the
                queue is full, or Triton fails.
        """
        arrived = time.monotonic()
        model = self.models.get(request.model)
        if model is None:
            raise errors.model_not_found(request.model)
        tokens = await model.prompter.tokens(request.messages, request.continuation.text)
        values = inputs(request, tokens, model.card.context_window)
        completion = Completion(request, model.card, model.vocabulary, len(tokens), arrived)
        has_started = False
        async with aclosing(self.triton.generate(request.model, values, call)) as pieces:
            async for piece in pieces:
                if not has_started:
                    has_started = True
                    started = pb.Started(request_id=call.request_id, model=request.model)
                    yield pb.GenerateResponse(started=started)
                for event in completion.read(piece):
                    yield event
        for event in completion.end():
            yield event
