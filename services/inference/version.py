"""A version of a model that is open; who opens versions, and what their failures mean."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import NamedTuple, Protocol

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import error_reason_pb2, models_pb2
from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from services.inference import stock
from services.inference.backend import Backend
from services.link import Call, Events

_LASTING = (
    error_reason_pb2.ERROR_REASON_INVALID_REQUEST,
    error_reason_pb2.ERROR_REASON_UNSUPPORTED,
    error_reason_pb2.ERROR_REASON_CONTEXT_WINDOW_EXCEEDED,
)


_ELSEWHERE = ("openai", *stock.ENGINES)


class Opened(NamedTuple):
    """A version that is open."""

    card: models_pb2.Model
    backend: Backend


class Host(Protocol):
    """Opens versions, and gives them up."""

    async def open(self, config: config_pb.ModelConfig) -> Opened:
        """Open a version, and return when it has answered a first request.

        Raises:
            MeshError: it cannot be opened, or, where that `is_lasting`, never can.
            OSError, ValueError: it cannot be opened; its files are not what they should be.
        """
        ...

    async def reopen(self, config: config_pb.ModelConfig, backend: Backend) -> None:
        """Open a version again that was lost behind its backend.

        Raises:
            MeshError, OSError, ValueError: as `open`.
        """
        ...

    async def give_up(self, config: config_pb.ModelConfig, backend: Backend) -> None:
        """Close a version for good, wherever it runs.

        Raises:
            MeshError: it could not be unloaded.
        """
        ...


class Version:
    """One version that is open, and the calls in it."""

    def __init__(self, config: config_pb.ModelConfig, opened: Opened) -> None:
        self.config = config
        self.card, self.backend = opened
        self.state = models_pb2.Model.STATE_READY
        """LOADING when it was lost, FAILED when it could not be opened again so far."""
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def call(self) -> Iterator[Backend]:
        """Keep the version open while a call is in it."""
        self._calls += 1
        self._idle.clear()
        try:
            yield self.backend
        finally:
            self._calls -= 1
            if self._calls == 0:
                self._idle.set()

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the events of the version."""
        with self.call() as backend:
            async with aclosing(backend.generate(request, call)) as events:
                async for event in events:
                    yield event

    async def idle(self) -> None:
        """Wait until no call is in it."""
        await self._idle.wait()


def is_lasting(error: MeshError | OSError | ValueError) -> bool:
    """Tell a version that can never be opened from one that may be yet, by itself."""
    if not isinstance(error, MeshError):
        return True
    if error.reason == error_reason_pb2.ERROR_REASON_UPSTREAM_FAILED:
        return error.retry_after_s is None
    return error.reason in _LASTING


def is_lost(error: MeshError) -> bool:
    """Tell the failure of a version that is not where it was opened."""
    is_unreachable = error.reason == error_reason_pb2.ERROR_REASON_UPSTREAM_UNREACHABLE
    return is_unreachable and error.metadata["upstream"] == "model"


def is_elsewhere(config: config_pb.ModelConfig) -> bool:
    """Tell whether somebody else's server computes the model, for which nobody here can wait."""
    return config.engine in _ELSEWHERE or bool(config.triton.address)
