"""The engines that keep the contract, each of them real, with the pocket model."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry

from catenary.config.v1 import models_pb2
from infra.engine.command import EngineName
from infra.engine.vocabulary import Vocabulary
from infra.triton import repository, server
from services import models
from services.inference import backends
from services.inference.backend import Backend
from services.inference.backends import OPENVINO_REFUSALS, TENSORRT_LLM_REFUSALS
from services.inference.engine_metrics import EngineCollector
from services.inference.features import Refusals
from services.inference.openai import HttpClient
from services.inference.prompt import Prompter
from services.inference.prompted import PromptedBackend
from tests.inference.openai.conftest import backend
from tests.inference.openai.llama import llama_server
from tests.inference.stock import contracts
from tests.inference.stock import triton as stock
from tests.inference.stock.contracts import Contract
from tests.inference.triton import POCKET, launch, resources_at, served, start, stop

GPU = "TRITON_ON_GPU"
FAKE = Path(__file__).parents[2] / "infra" / "tensorrt_llm_fake"
CONFIG = models_pb2.ModelConfig(
    name="pocket",
    path=str(POCKET),
    max_sequences=32,
    max_queue=256,
    max_waiting_tokens=4_000_000,
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
        async with resources_at(address) as resources:
            card = models.describe([CONFIG])["pocket"]
            yield Engine(await backends.build(CONFIG, card, resources), OPENVINO_REFUSALS)
    finally:
        stop(triton)


@asynccontextmanager
async def in_process(_folder: Path) -> AsyncIterator[Engine]:
    card = models.describe([CONFIG])["pocket"]
    vocabulary = Vocabulary.read(POCKET / "tokenizer.json")
    client = backends.in_process(CONFIG, vocabulary, EngineCollector())
    await client.open()
    try:
        backend = PromptedBackend(card, Prompter.read("pocket", POCKET), client)
        yield Engine(backend, OPENVINO_REFUSALS)
    finally:
        await client.close()


@asynccontextmanager
async def behind_openais_api(folder: Path) -> AsyncIterator[Engine]:
    client = HttpClient(CollectorRegistry())
    try:
        with llama_server(folder) as url:
            llama = backend(client, base_url=url, kind="llama_cpp")
            yield Engine(llama, llama.dialect.refusals, has_same_weights=False)
    finally:
        await client.close()


@asynccontextmanager
async def tensorrt_llm_in_triton(folder: Path) -> AsyncIterator[Engine]:
    config = models_pb2.ModelConfig()
    config.CopyFrom(CONFIG)
    config.engine = "tensorrt_llm"
    model = replace(served(max_sequences=32), engine=EngineName.TENSORRT_LLM)
    repository.write(folder / "models", [model], sys.executable, "")
    triton = launch(folder, {**server.environment(os.environ), "PYTHONPATH": str(FAKE)})
    try:
        address = f"127.0.0.1:{triton.ports.grpc}"
        async with resources_at(address) as resources:
            card = models.describe([config])["pocket"]
            yield Engine(await backends.build(config, card, resources), TENSORRT_LLM_REFUSALS)
    finally:
        stop(triton)


def stock_in_triton(engine: str, contract: Contract) -> Open:
    """Give NVIDIA's own contract, spoken by a model that computes with the pocket model."""

    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[Engine]:
        triton = stock.start(folder, {"served": (engine, contract)})
        try:
            async with stock.connected(triton, engine, "served") as backend:
                yield Engine(backend, backend.client.refusals)
        finally:
            stop(triton)

    return opened


@asynccontextmanager
async def tensorrt_llm_on_a_gpu(_folder: Path) -> AsyncIterator[Engine]:
    """The pocket model in a Triton that is running: infra/triton/GPU.md tells how."""
    config = models_pb2.ModelConfig()
    config.CopyFrom(CONFIG)
    config.engine = "tensorrt_llm"
    async with resources_at(os.environ[GPU]) as resources:
        card = models.describe([config])["pocket"]
        backend = await backends.build(config, card, resources)
        yield Engine(backend, TENSORRT_LLM_REFUSALS, has_same_weights=False)


ENGINES: dict[str, Open] = {
    "triton": our_model_in_triton,
    "in_process": in_process,
    "tensorrt_llm": tensorrt_llm_in_triton,
    "openai": behind_openais_api,
    "llmapi": stock_in_triton("llmapi", contracts.LLMAPI),
    "ensemble": stock_in_triton("ensemble", contracts.ENSEMBLE),
    "bls": stock_in_triton("ensemble", contracts.BLS),
    "vllm": stock_in_triton("vllm", contracts.VLLM),
}
if GPU in os.environ:
    ENGINES["gpu"] = tensorrt_llm_on_a_gpu
