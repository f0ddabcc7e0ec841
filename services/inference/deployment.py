"""Our models in the mesh's own Triton: each version is a Triton model of its own, `name.vN`.

So a version is loaded and unloaded without a word to the others, and one that cannot be loaded
touches none. Triton goes on with the calls in a model that it unloads, and takes no new ones.
"""

import asyncio
import logging
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from catenary.config.v1.models_pb2 import ModelConfig
from catenary.v1 import error_reason_pb2
from infra.triton import placement
from infra.triton.repository import ServedModel
from services import errors
from services.errors import MeshError

logger = logging.getLogger(__name__)

_LOAD_S = 900.0
"""A large model for GPUs takes minutes."""
_ASK_S = 10.0
_POLL_S = 0.2
_TRITON = "triton"
_CAUSE = re.compile(r"ConnectionError: (.+)")
"""What our model says of an engine that cannot be started, within what Triton says."""
_UNTOLD = "cannot be loaded; the log of Triton tells why"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Loads and unloads under Triton's explicit model control."""

    channel: grpc.aio.Channel
    repository: Path
    """The folder from which Triton serves, here and there under the same path."""
    otlp_endpoint: str

    async def load(self, config: ModelConfig) -> str:
        """Have Triton serve a version, and return its name there.

        Raises:
            MeshError: Triton cannot load it, or, with a time to come back, cannot be reached.
            OSError, ValueError: its files are not what they should be.
        """
        model = ServedModel.configured(_name(config), config)
        try:
            async with asyncio.timeout(_LOAD_S), self._reserved(model.name):
                await self._load(model)
        except TimeoutError:
            await self._remove(model.name)
            raise _cannot_load(f"was not loaded within {_LOAD_S:.0f} s") from None
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise errors.upstream_unreachable(_TRITON) from None
            # Triton must not try again when it is started anew.
            await self._remove(model.name)
            logger.error("triton refused a model", extra={"problem": error.details()})  # noqa: TRY400
            told = _CAUSE.search(error.details() or "")
            raise _cannot_load(told[1] if told else _UNTOLD) from None
        return model.name

    async def unload(self, config: ModelConfig) -> None:
        """Have Triton take no more calls for a version, and free it when those in it have ended.

        Raises:
            MeshError: Triton cannot be reached; started anew, it does not load the version.
        """
        name = _name(config)
        await self._remove(name)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)
        try:
            await stub.RepositoryModelUnload(
                service_pb2.RepositoryModelUnloadRequest(model_name=name), timeout=_ASK_S
            )
        except grpc.aio.AioRpcError:
            raise errors.upstream_unreachable(_TRITON) from None

    @asynccontextmanager
    async def _reserved(self, name: str) -> AsyncIterator[None]:
        """Wait until no other replica of the link loads the model."""
        while True:
            with placement.reserved(self.repository, name) as is_ours:
                if is_ours:
                    yield
                    return
            await asyncio.sleep(_POLL_S)

    async def _load(self, model: ServedModel) -> None:
        is_new = await asyncio.to_thread(
            placement.place, self.repository, model, sys.executable, self.otlp_endpoint
        )
        stub = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)
        asked = service_pb2.ModelReadyRequest(name=model.name)
        if is_new or not (await stub.ModelReady(asked, timeout=_ASK_S)).ready:
            wanted = service_pb2.RepositoryModelLoadRequest(model_name=model.name)
            await stub.RepositoryModelLoad(wanted)

    async def _remove(self, name: str) -> None:
        await asyncio.to_thread(placement.remove, self.repository, name)


def _cannot_load(problem: str) -> MeshError:
    return MeshError(error_reason_pb2.ERROR_REASON_UPSTREAM_FAILED, problem, {"upstream": _TRITON})


def _name(config: ModelConfig) -> str:
    return f"{config.name}.v{config.version}"
