"""Builds the backend that a model's configuration asks for."""

from pathlib import Path

import grpc

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2
from infra.engine.vocabulary import Vocabulary
from services.inference.backend import Backend
from services.inference.features import Feature, Refusals
from services.inference.prompt import Prompter
from services.inference.prompted import PromptedBackend
from services.inference.triton import TritonClient
from services.tracing import Tracing

OPENVINO_REFUSALS: Refusals = {
    Feature.LOGIT_BIAS: "the engine cannot bias single tokens",
    Feature.TOP_LOGPROBS: "the engine tells no rivals of a token; 0 gives the token's own",
    Feature.TOOLS: "the model cannot call tools",
}


def build(
    config: config_pb.ModelConfig,
    card: models_pb2.Model,
    channel: grpc.aio.Channel,
    tracing: Tracing,
) -> Backend:
    """Build the backend of one model; `channel` leads to Triton.

    Raises:
        OSError: the model lacks a file.
        ValueError: a file is not what it should be.
    """
    folder = Path(config.path)
    client = in_triton(config.name, folder, channel, tracing)
    return PromptedBackend(card, Prompter.read(config.name, folder), client)


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
