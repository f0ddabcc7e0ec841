"""Builds the backend that a model's configuration asks for."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import grpc

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2
from infra.engine import command
from infra.engine.admission import Admission
from infra.engine.command import EngineSettings
from infra.engine.guides import GuideChecker
from infra.engine.process import EngineProcess
from infra.engine.serving import Serving
from infra.engine.vocabulary import Vocabulary
from services.inference.backend import Backend
from services.inference.engine import EngineClient
from services.inference.engine_metrics import EngineCollector, ModelFigures
from services.inference.features import Feature, Refusals
from services.inference.in_process import InProcessClient
from services.inference.prompt import Prompter
from services.inference.prompted import PromptedBackend
from services.inference.triton import TritonClient
from services.process import Process
from services.tracing import Tracing

OPENVINO_REFUSALS: Refusals = {
    Feature.LOGIT_BIAS: "the engine cannot bias single tokens",
    Feature.TOP_LOGPROBS: "the engine tells no rivals of a token; 0 gives the token's own",
    Feature.TOOLS: "the model cannot call tools",
}


@dataclass(frozen=True, slots=True)
class Resources:
    """What backends share."""

    triton: grpc.aio.Channel
    """Leads to the mesh's own Triton."""
    tracing: Tracing
    engines: EngineCollector
    """Shows the figures of engines in this process."""


def resources(process: Process) -> Resources:
    """Return what backends share in a process."""
    engines = EngineCollector()
    process.registry.register(engines)
    channel = process.channel(process.triton_address, "triton")
    return Resources(channel, process.tracing, engines)


def build(config: config_pb.ModelConfig, card: models_pb2.Model, resources: Resources) -> Backend:
    """Build the backend of one model.

    Raises:
        OSError: the model lacks a file.
        ValueError: a file is not what it should be.
    """
    folder = Path(config.path)
    client: EngineClient
    if config.engine == "in_process":
        client = in_process(config, resources.engines)
    else:
        client = in_triton(config.name, folder, resources.triton, resources.tracing)
    return PromptedBackend(card, Prompter.read(config.name, folder), client)


def in_process(config: config_pb.ModelConfig, engines: EngineCollector) -> InProcessClient:
    """Return the client of an engine that is not started yet.

    Raises:
        OSError: the model has no `tokenizer.json`.
        ValueError: it is not what it should be.
    """
    settings = EngineSettings(
        python=sys.executable,
        model=config.path,
        max_sequences=config.max_sequences,
        kv_cache_mib=config.kv_cache_mib,
        stream_interval_ms=config.stream_interval.ToNanoseconds() / 1e6,
    )
    serving = Serving(
        EngineProcess(command.worker(settings, os.getpid())),
        Admission(config.max_sequences, config.max_queue, time.monotonic),
        GuideChecker(command.guide_worker(settings)),
        ModelFigures(config.name, engines),
        None,
    )
    vocabulary = Vocabulary.read(Path(config.path) / "tokenizer.json")
    return InProcessClient(config.name, serving, vocabulary, OPENVINO_REFUSALS)


def in_triton(
    model: str, folder: Path, channel: grpc.aio.Channel, tracing: Tracing
) -> TritonClient:
    """Return the client of our own model in Triton, with the CPU engine.

    Raises:
        OSError: the model has no `tokenizer.json`.
        ValueError: it is not what it should be.
    """
    vocabulary = Vocabulary.read(folder / "tokenizer.json")
    return TritonClient(channel, tracing, model, vocabulary, "openvino", OPENVINO_REFUSALS)
