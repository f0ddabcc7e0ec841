"""The terminal link: each request goes to the backend that computes its model."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from catenary.config.v1 import mesh_pb2 as config_pb
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import models_pb2
from services import errors
from services.inference import backends
from services.inference.backend import Backend
from services.inference.backends import Resources
from services.link import Call, Events


@dataclass(frozen=True, slots=True)
class Inference:
    """Generates with the models that are served."""

    models: Mapping[str, Backend]

    @classmethod
    def configured(
        cls,
        config: config_pb.InferenceConfig,
        cards: Mapping[str, models_pb2.Model],
        resources: Resources,
    ) -> Self:
        """Build each model's backend.

        Raises:
            OSError: a model lacks a file.
            ValueError: a file is not what it should be.
        """
        return cls(
            {
                model.name: backends.build(model, cards[model.name], resources)
                for model in config.models
            }
        )

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the model's completion.

        `started` comes when the engine has taken the request: whoever stands before this link can
        still go elsewhere when it has no room, and `started` is on its way before the first token.

        Raises:
            MeshError: the model is not served, or its backend refuses the request or fails.
        """
        backend = self.models.get(request.model)
        if backend is None:
            raise errors.model_not_found(request.model)
        async with aclosing(backend.generate(request, call)) as events:
            async for event in events:
                yield event
