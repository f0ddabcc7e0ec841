"""The engines that keep the contract, each of them real, with the pocket model."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration

from catenary.config.v1 import models_pb2
from services import models
from services.inference import backends
from services.inference.backend import Backend
from services.inference.backends import OPENVINO_REFUSALS, Resources
from services.inference.engine_metrics import EngineCollector
from services.inference.features import Refusals
from services.inference.prompt import Prompter
from services.inference.prompted import PromptedBackend
from services.tracing import Tracing
from services.transport import OPTIONS
from tests.inference.triton import POCKET, served, start, stop

CONFIG = models_pb2.ModelConfig(
    name="pocket",
    path=str(POCKET),
    max_sequences=32,
    max_queue=256,
    kv_cache_mib=64,
    stream_interval=Duration(nanos=20_000_000),
)


@dataclass(frozen=True)
class Engine:
    """One engine under test."""

    backend: Backend
    refusals: Refusals
    """What it may refuse; whatever is not named here it must do."""
    has_same_weights: bool = True
    """Its weights are those of the others, so that its likeliest text is theirs too."""


Open = Callable[[Path], AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def our_model_in_triton(folder: Path) -> AsyncIterator[Engine]:
    triton = start(folder, served(max_sequences=32))
    try:
        address = f"127.0.0.1:{triton.ports.grpc}"
        async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
            resources = Resources(channel, Tracing(), EngineCollector())
            card = models.describe([CONFIG])["pocket"]
            yield Engine(backends.build(CONFIG, card, resources), OPENVINO_REFUSALS)
    finally:
        stop(triton)


@asynccontextmanager
async def in_process(_folder: Path) -> AsyncIterator[Engine]:
    card = models.describe([CONFIG])["pocket"]
    client = backends.in_process(CONFIG, EngineCollector())
    await client.open()
    try:
        backend = PromptedBackend(card, Prompter.read("pocket", POCKET), client)
        yield Engine(backend, OPENVINO_REFUSALS)
    finally:
        await client.close()


ENGINES: dict[str, Open] = {
    "triton": our_model_in_triton,
    "in_process": in_process,
}
