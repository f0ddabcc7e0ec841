"""Our models in the mesh's own Triton: each version is a Triton model of its own, `name.vN`.

So a version is loaded and unloaded without a word to the others, and one that cannot be loaded
touches none. Replicas of the link share it: the last one that gives it up has it unloaded. A name
is loaded only once Triton has let go of what it had under it: Triton 2.51 breaks down otherwise.
"""

import asyncio
import logging
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from catenary.config.v1.models_pb2 import ModelConfig
from catenary.v1 import error_reason_pb2
from infra.triton import placement
from infra.triton.placement import Standing
from infra.triton.repository import ServedModel
from services import errors
from services.errors import MeshError

logger = logging.getLogger(__name__)

_LOAD_S = 900.0
"""A large model for GPUs takes minutes."""
_UNLOAD_S = 120.0
"""The calls in a version have ended; an engine may let go of several GPUs."""
_ASK_S = 10.0
_POLL_S = 0.2
_TRITON = "triton"
_CAUSE = re.compile(r"ConnectionError: (.+)")
"""What our model says of an engine that cannot be started, within what Triton says."""
_UNTOLD = "cannot be loaded; the log of Triton tells why"
_READY = "READY"
_ON_THE_WAY = ("LOADING", "UNLOADING")
"""As Triton's index of its repository calls them."""
_OUT_OF_REACH = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Deployment:
    """Loads and unloads under Triton's explicit model control."""

    channel: grpc.aio.Channel
    repository: Path
    """The folder from which Triton serves, here and there under the same path."""
    otlp_endpoint: str
    _held: dict[str, IO[str]] = field(default_factory=dict[str, IO[str]])
    """What this replica serves, by its name in Triton."""

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
            raise _failed(f"was not loaded within {_LOAD_S:.0f} s") from None
        except grpc.aio.AioRpcError as error:
            if _is_out_of_reach(error):
                raise errors.upstream_unreachable(_TRITON) from None
            logger.error("triton refused a model", extra={"problem": error.details()})  # noqa: TRY400
            told = _CAUSE.search(error.details() or "")
            raise _failed(told[1] if told else _UNTOLD) from None
        return model.name

    async def unload(self, config: ModelConfig) -> None:
        """Give a version up; the last replica to do so has Triton free it, and waits until it has.

        Raises:
            MeshError: Triton does not free it; started anew, it does not load it.
        """
        name = _name(config)
        try:
            async with asyncio.timeout(_UNLOAD_S), self._reserved(name):
                self._let_go(name)
                if not await asyncio.to_thread(placement.is_held, self.repository, name):
                    try:
                        await self._free(name)
                    finally:
                        await self._remove(name)
        except TimeoutError:
            raise _failed(f"was not unloaded within {_UNLOAD_S:.0f} s") from None

    def close(self) -> None:
        """Serve nothing any more; what Triton has stays loaded, for others."""
        for name in list(self._held):
            self._let_go(name)

    @asynccontextmanager
    async def _reserved(self, name: str) -> AsyncIterator[None]:
        """Wait until no other replica of the link loads or unloads the model."""
        while True:
            with placement.reserved(self.repository, name) as is_ours:
                if is_ours:
                    yield
                    return
            await asyncio.sleep(_POLL_S)

    async def _load(self, model: ServedModel) -> None:
        await self._place(model)
        state = await self._settled(model.name)
        if state != _READY:
            wanted = service_pb2.RepositoryModelLoadRequest(model_name=model.name)
            try:
                await self._stub.RepositoryModelLoad(wanted)
            except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
                if not _is_out_of_reach(error):
                    # Triton must not try again when it is started anew.
                    await self._remove(model.name)
                raise
        self._let_go(model.name)
        self._held[model.name] = await asyncio.to_thread(
            placement.hold, self.repository, model.name
        )

    def _let_go(self, name: str) -> None:
        if name in self._held:
            self._held.pop(name).close()

    async def _place(self, model: ServedModel) -> None:
        """Have the model, and no other, stand in the repository under its name."""
        standing = await self._placed(model)
        if standing is Standing.OTHER:
            self._let_go(model.name)
            if await asyncio.to_thread(placement.is_held, self.repository, model.name):
                raise _served_otherwise()
            await self._have_freed(model.name)
            await self._remove(model.name)
            standing = await self._placed(model)
        if standing is Standing.NEW:
            # Triton may have what nobody has waited for.
            await self._have_freed(model.name)

    async def _placed(self, model: ServedModel) -> Standing:
        return await asyncio.to_thread(
            placement.place, self.repository, model, sys.executable, self.otlp_endpoint
        )

    async def _free(self, name: str) -> None:
        """Have Triton free a model, as soon as it can be reached."""
        while True:
            try:
                await self._have_freed(name)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(_POLL_S)
            else:
                return

    async def _have_freed(self, name: str) -> None:
        """Have Triton take no more calls for a model, and wait until nothing of it is loaded.

        Its folder must stand there: Triton's index tells of no other models.
        """
        while await self._settled(name) == _READY:
            unwanted = service_pb2.RepositoryModelUnloadRequest(model_name=name)
            await self._stub.RepositoryModelUnload(unwanted, timeout=_ASK_S)

    async def _settled(self, name: str) -> str:
        """Wait until Triton neither loads nor unloads a model; return how it then stands."""
        while True:
            asked = service_pb2.RepositoryIndexRequest()
            index = await self._stub.RepositoryIndex(asked, timeout=_ASK_S)
            states = [model.state for model in index.models if model.name == name]
            if not any(state in _ON_THE_WAY for state in states):
                return _READY if _READY in states else ""
            await asyncio.sleep(_POLL_S)

    @property
    def _stub(self) -> service_pb2_grpc.GRPCInferenceServiceStub:
        return service_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    async def _remove(self, name: str) -> None:
        await asyncio.to_thread(placement.remove, self.repository, name)


def _failed(problem: str) -> MeshError:
    return MeshError(error_reason_pb2.ERROR_REASON_UPSTREAM_FAILED, problem, {"upstream": _TRITON})


def _is_out_of_reach(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in _OUT_OF_REACH


def _served_otherwise() -> MeshError:
    return MeshError(
        error_reason_pb2.ERROR_REASON_UPSTREAM_FAILED,
        "another replica serves it with other settings: its version must count up",
        {"upstream": _TRITON},
        1.0,
    )


def _name(config: ModelConfig) -> str:
    return f"{config.name}.v{config.version}"
