"""A fleet over backends and a host that are watched."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import embeddings_pb2, models_pb2
from catenary.v1 import generation_pb2 as pb
from services import errors
from services.inference import Inference
from services.inference.backend import Backend
from services.inference.berth import Timing
from services.inference.fleet import Fleet
from services.inference.version import Opened
from services.link import Call, Events
from tests.fakes import delta, finished, started

Models = dict[str, tuple[int, str]]
"""The version of each model, and what befalls it: `fine`, `bad` or `late`."""
NO_WAIT = Timing(handover_s=5, patience_s=0, linger_s=0)


@dataclass(eq=False)
class FakeBackend:
    """Streams its own version, and fails once it has been unloaded behind its back."""

    version: int
    engine: str = "fake"
    capabilities: Sequence[str] = ("chat",)
    is_gone: bool = False
    is_closed: bool = False
    calls: int = 0
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        """Be open at once."""

    async def generate(self, request: pb.GenerateRequest, _call: Call) -> Events:
        if self.is_gone:
            raise errors.model_unavailable(request.model, has_failed=False)
        assert not self.is_closed
        self.calls += 1
        try:
            yield started(model=request.model)
            yield delta(str(self.version))
            await self.may_end.wait()
            yield finished()
        finally:
            self.calls -= 1

    async def count_tokens(self, request: pb.GenerateRequest, _call: Call) -> int:
        return len(request.messages)

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, _call: Call
    ) -> embeddings_pb2.EmbedResponse:
        raise errors.unsupported("model", request.model, "a fake embeds nothing")

    async def close(self) -> None:
        self.is_closed = True


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(eq=False)
class FakeHost:
    """Opens what is fine, and watches over what must never happen."""

    behaviour: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    open_backends: dict[str, list[FakeBackend]] = field(
        default_factory=dict[str, list[FakeBackend]]
    )
    attempts: int = 0
    reopened: int = 0
    failures: list[Exception] = field(default_factory=list[Exception])
    """What the next attempts to open a version again fail with."""
    may_give_up: asyncio.Event = field(default_factory=_set)
    given_up: int = 0

    async def open(self, config: config_pb.ModelConfig) -> Opened:
        self.attempts += 1
        await asyncio.sleep(0)
        behaviour = self.behaviour.get((config.name, config.version), "fine")
        if behaviour == "bad":
            raise ValueError("the file\nis broken")
        if behaviour == "late":
            self.behaviour[config.name, config.version] = "fine"
            raise errors.upstream_unreachable("triton")
        if behaviour == "down":
            raise errors.upstream_unreachable("a server")
        if behaviour == "defect":
            raise RuntimeError
        held = self.open_backends.setdefault(config.name, [])
        versions = [backend.version for backend in held]
        assert config.version not in versions, "a version was opened beside itself"
        backend = FakeBackend(config.version)
        backend.may_end.set()
        held.append(backend)
        assert len(held) <= 3, "four versions in memory at once"
        return Opened(models_pb2.Model(name=config.name, version=config.version), backend)

    async def reopen(self, config: config_pb.ModelConfig, backend: Backend) -> None:
        assert isinstance(backend, FakeBackend)
        assert backend in self.open_backends[config.name]
        self.reopened += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        backend.is_gone = False

    async def give_up(self, config: config_pb.ModelConfig, backend: Backend) -> None:
        assert isinstance(backend, FakeBackend)
        assert backend.calls == 0, "a version was given up under a call"
        backend.is_closed = True
        self.given_up += 1
        await asyncio.sleep(0)
        await self.may_give_up.wait()
        self.open_backends[config.name].remove(backend)


def configured(models: Models) -> config_pb.ModelsConfig:
    return config_pb.ModelsConfig(
        models=[
            config_pb.ModelConfig(name=name, version=version)
            for name, (version, _) in models.items()
        ]
    )


async def answer(fleet: Fleet, model: str = "a") -> str:
    request = pb.GenerateRequest(model=model)
    text = ""
    async with aclosing(Inference(fleet.models, fleet).generate(request, Call("r"))) as events:
        async for event in events:
            text += event.delta.text
    return text


async def until_card(fleet: Fleet, version: int, state: int, name: str = "a") -> models_pb2.Model:
    async with asyncio.timeout(20):
        while True:
            card = (await fleet.cards()).get(name)
            if card is not None and (card.version, card.state) == (version, state):
                return card
            await asyncio.sleep(0.001)
