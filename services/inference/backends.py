"""Builds the backend that a model's configuration asks for."""

import asyncio
import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2
from infra.engine import command
from infra.engine.admission import Admission, Limits
from infra.engine.card import ModelCard
from infra.engine.command import EngineSettings
from infra.engine.guides import GuideChecker
from infra.engine.process import EngineProcess
from infra.engine.serving import Serving
from infra.engine.vocabulary import Vocabulary
from services.inference import stock
from services.inference.backend import Backend
from services.inference.engine import EngineClient
from services.inference.engine_metrics import EngineCollector, ModelFigures
from services.inference.features import Feature, Refusals
from services.inference.in_process import InProcessClient
from services.inference.load import LoadReports
from services.inference.openai.backend import OpenAiBackend
from services.inference.openai.client import HttpClient
from services.inference.prompt import Prompter
from services.inference.prompted import PromptedBackend
from services.inference.triton import TritonClient
from services.process import Process
from services.tracing import Tracing

OPENVINO_REFUSALS: Refusals = {
    Feature.LOGIT_BIAS: "the engine cannot bias single tokens",
    Feature.TOP_LOGPROBS: "the engine tells no rivals of a token; 0 gives the token's own",
}
TENSORRT_LLM_REFUSALS: Refusals = {}


@dataclass(frozen=True, slots=True)
class Resources:
    """What backends share."""

    channel: Callable[[str], grpc.aio.Channel]
    """Leads to a Triton by its address; to the mesh's own for an empty one."""
    http: HttpClient
    tracing: Tracing
    engines: EngineCollector
    """Shows the figures of engines in this process."""
    loads: LoadReports = field(default_factory=LoadReports)
    """Hears how busy engines are."""


def resources(process: Process, loads: LoadReports) -> Resources:
    """Return what backends share in a process; `loads` hears how busy engines are."""

    @functools.cache
    def channel(address: str) -> grpc.aio.Channel:
        return process.channel(address or process.triton_address, "triton")

    http = HttpClient(process.registry)
    process.closing.push_async_callback(http.close)
    engines = EngineCollector()
    process.registry.register(engines)
    return Resources(channel, http, process.tracing, engines, loads)


async def build(
    config: config_pb.ModelConfig, card: models_pb2.Model, resources: Resources
) -> Backend:
    """Build the backend of one model.

    Raises:
        OSError: the model lacks a file.
        ValueError: a file is not what it should be.
    """
    match config.engine:
        case "embeddings":
            from services.inference.embeddings import (  # noqa: PLC0415 - OpenVINO is an extra
                EmbeddingsBackend,
            )

            return EmbeddingsBackend(config, resources.engines)
        case "openai":
            return OpenAiBackend.configured(config, card, resources.http)
    return await _prompted(config, card, resources)


async def _prompted(
    config: config_pb.ModelConfig, card: models_pb2.Model, resources: Resources
) -> PromptedBackend:
    folder = Path(config.path)
    # A large tokenizer takes a second to read.
    prompter, vocabulary = await asyncio.gather(
        asyncio.to_thread(
            Prompter.read, config.name, folder, config.tool_format, config.reasoning_format
        ),
        asyncio.to_thread(Vocabulary.read, folder / "tokenizer.json"),
    )
    client: EngineClient
    if config.engine == "in_process":
        client = in_process(config, vocabulary, resources.engines)
    elif config.engine in stock.ENGINES:
        channel = resources.channel(config.triton.address)
        client = stock.client(config, channel, resources.tracing, prompter.tokenizer, vocabulary)
    else:
        channel = resources.channel(config.triton.address)
        client = in_triton(config, vocabulary, channel, resources.tracing)
    return PromptedBackend(card, prompter, client, resources.loads)


def in_process(
    config: config_pb.ModelConfig, vocabulary: Vocabulary, engines: EngineCollector
) -> InProcessClient:
    """Return the client of an engine that is not started yet."""
    settings = EngineSettings(
        python=sys.executable,
        model=config.path,
        max_sequences=config.max_sequences,
        kv_cache_mib=config.kv_cache_mib,
        stream_interval_ms=config.stream_interval.ToNanoseconds() / 1e6,
    )
    serving = Serving(
        EngineProcess(command.worker(settings)),
        Admission(_limits(config), time.monotonic),
        GuideChecker(command.guide_worker(settings)),
        ModelFigures(config.name, engines),
        None,
        config.context_window or ModelCard.read(Path(config.path)).context_window,
    )
    return InProcessClient(config.name, serving, vocabulary, OPENVINO_REFUSALS)


def in_triton(
    config: config_pb.ModelConfig,
    vocabulary: Vocabulary,
    channel: grpc.aio.Channel,
    tracing: Tracing,
) -> TritonClient:
    """Return the client of our own model in Triton."""
    engine = config.engine or "openvino"
    return TritonClient(
        channel,
        tracing,
        config.name,
        config.triton.model or config.name,
        vocabulary,
        engine,
        TENSORRT_LLM_REFUSALS if engine == "tensorrt_llm" else OPENVINO_REFUSALS,
    )


def _limits(config: config_pb.ModelConfig) -> Limits:
    return Limits(
        sequences=config.max_sequences,
        tokens=config.max_tokens,
        waiting=config.max_queue,
        waiting_tokens=config.max_waiting_tokens,
    )
