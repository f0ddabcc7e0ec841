"""Opens a version of a model, wherever it runs, and has it answer once before anybody waits."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from catenary.config.v1.models_pb2 import ModelConfig
from catenary.v1 import embeddings_pb2, message_pb2
from catenary.v1 import generation_pb2 as pb
from infra.models.process import ready
from services import models
from services.config.files import openvino_problem
from services.errors import MeshError
from services.inference import backends
from services.inference.backend import Backend
from services.inference.backends import Resources
from services.inference.deployment import Deployment
from services.inference.version import Opened, is_lasting
from services.link import Call

_ON_OPENVINO = ("openvino", "in_process")
_IN_OUR_TRITON = ("openvino", "tensorrt_llm")
_WITHOUT_WARM_UP = ("openai",)
"""Others pay for each of their tokens, and are warm or not whatever we do."""
_WARM_UP_S = 120.0
_TEXT = "Hello"


@dataclass(frozen=True, slots=True)
class BackendHost:
    """Opens every kind of backend."""

    resources: Resources
    deployment: Deployment | None
    """None where the Triton is somebody else's: nothing is loaded there."""

    async def open(self, config: ModelConfig) -> Opened:
        """Make its files ready, load it where that is ours to do, build its backend, warm it up."""
        ours = self._ours(config)
        placed = await self._placed(config)
        try:
            return await self._opened(placed)
        except (MeshError, OSError, ValueError) as error:
            # What may pass is no reason to unload what another replica may already serve.
            if ours is not None and is_lasting(error):
                await ours.unload(config)
            raise

    async def reopen(self, config: ModelConfig, backend: Backend) -> None:
        """Load it again where that is ours to do, unless another replica was faster; warm it up."""
        await _begin(await self._placed(config), backend)

    async def give_up(self, config: ModelConfig, backend: Backend) -> None:
        """Close the backend, and unload the version where that is ours to do."""
        await backend.close()
        ours = self._ours(config)
        if ours is not None:
            await ours.unload(config)

    async def _placed(self, config: ModelConfig) -> ModelConfig:
        """Make the files of a version ready, load it, and return where it is.

        The files are looked at again: they may be others than when models.yaml was read, and what
        an engine says of them tells little.
        """
        placed = ModelConfig()
        placed.CopyFrom(config)
        if config.engine in _ON_OPENVINO:
            placed.path = str(await ready(config.path))
            problem = await asyncio.to_thread(openvino_problem, Path(placed.path))
            if problem:
                raise ValueError(problem)
        ours = self._ours(config)
        if ours is not None:
            placed.triton.model = await ours.load(placed)
        return placed

    def _ours(self, config: ModelConfig) -> Deployment | None:
        is_ours = config.engine in _IN_OUR_TRITON and not config.triton.address
        return self.deployment if is_ours else None

    async def _opened(self, config: ModelConfig) -> Opened:
        card = (await asyncio.to_thread(models.describe, [config]))[config.name]
        backend = await backends.build(config, card, self.resources)
        try:
            await _begin(config, backend)
        except BaseException:
            await backend.close()
            raise
        card.capabilities.extend(backend.capabilities)
        return Opened(card, backend)


async def _begin(config: ModelConfig, backend: Backend) -> None:
    await backend.open()
    if config.engine not in _WITHOUT_WARM_UP:
        await _warm_up(config, backend)


async def _warm_up(config: ModelConfig, backend: Backend) -> None:
    """Ask for a first token, as everybody will.

    Raises:
        MeshError: the model cannot answer.
    """
    call = Call("warm-up", deadline=time.monotonic() + _WARM_UP_S)
    if config.engine == "embeddings":
        await backend.embed(embeddings_pb2.EmbedRequest(model=config.name, texts=[_TEXT]), call)
        return
    message = message_pb2.Message(
        role=message_pb2.ROLE_USER, content=[message_pb2.ContentPart(text=_TEXT)]
    )
    sampling = message_pb2.Sampling(max_output_tokens=1)
    request = pb.GenerateRequest(model=config.name, messages=[message], sampling=sampling)
    async for _ in backend.generate(request, call):
        pass
