"""Reaches a model in Triton that speaks a stock contract."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import grpc
import msgspec
from tokenizers import Tokenizer
from tritonclient.grpc import service_pb2

from catenary.config.v1 import models_pb2
from infra.engine.vocabulary import Vocabulary
from services import errors
from services.errors import MeshError
from services.inference.engine import EngineRequest, Piece
from services.inference.features import Refusals
from services.inference.stock import contract, failures, tensors
from services.inference.stock.choices import together
from services.inference.stock.contract import Contract, Question
from services.inference.stock.deployment import Deployment, Directory
from services.inference.stock.ensemble import Ensemble
from services.inference.stock.infer import infer
from services.inference.stock.llmapi import LlmApi
from services.inference.stock.tokens import Tokens
from services.inference.stock.vllm import Vllm
from services.link import Call
from services.tracing import Tracing

_SEEDS = 2**63
"""Seeds are below this: TensorRT-LLM takes 64 bits without a sign, torch and vLLM with one."""

_PRIORITIES = 10
_DEFAULT_PRIORITY = 5


@dataclass(frozen=True, slots=True)
class StockClient:
    """Generates with one model, over a channel that its owner closes.

    The engines do not say that they have taken a request. What they refuse, they refuse before
    their first response, so it is that which opens the stream.
    """

    channel: grpc.aio.Channel
    tracing: Tracing
    model: str
    """The model's name for callers."""
    contract: Contract
    directory: Directory
    tokens: Tokens

    @property
    def name(self) -> str:
        """The contract, which stands for the engine behind it."""
        return self.contract.name

    @property
    def refusals(self) -> Refusals:
        """What the contract has no tensors for."""
        return self.contract.refusals

    async def open(self) -> None:
        """Return when Triton has said what the model is.

        Raises:
            MeshError: it cannot be reached, or the model is not what it should be.
        """
        await self.directory.deployment(Call("open"))

    async def generate(self, request: EngineRequest, call: Call) -> AsyncGenerator[Piece, None]:
        """Stream the pieces of one generation; closing the stream frees the engine's place.

        Raises:
            MeshError: the model is not what it should be, or lacks an input that is asked for;
                Triton refused the request, failed, or cannot be reached.
        """
        deployment = await self.directory.deployment(call)
        generation = request.generation
        contract.refuse_unknown(self.model, generation, self.contract, deployment)
        prompt = self.tokens.bare(request.prompt)
        seed = secrets.randbelow(_SEEDS) if generation.seed is None else generation.seed
        questions = [
            Question(prompt, generation, (seed + choice) % _SEEDS) for choice in range(generation.n)
        ]
        streams = [
            self._choice(choice, question, deployment, call)
            for choice, question in enumerate(questions)
        ]
        has_started = False
        try:
            async with aclosing(together(streams) if len(streams) > 1 else streams[0]) as pieces:
                async for piece in pieces:
                    if not has_started:
                        has_started = True
                        yield Piece()
                    yield piece
        except MeshError:
            self.directory.forget()
            raise

    async def close(self) -> None:
        """Hold nothing: the channel is its owner's."""

    async def _choice(
        self, choice: int, question: Question, deployment: Deployment, call: Call
    ) -> AsyncGenerator[Piece, None]:
        reader = self.contract.reader(question, deployment)
        wanted = self._request(question, deployment)
        responses = infer(self.channel, self.tracing, self.model, wanted, call)
        try:
            async with aclosing(responses):
                async for outputs in responses:
                    piece = await reader.read(outputs)
                    yield msgspec.structs.replace(piece, choice=choice)
                    if reader.text.matched_stop:
                        # The engine has not seen it; leaving makes it end.
                        return
        except ValueError:
            raise errors.stream_broken(failures.TRITON) from None
        yield msgspec.structs.replace(await reader.end(), choice=choice)

    def _request(self, question: Question, deployment: Deployment) -> service_pb2.ModelInferRequest:
        request = service_pb2.ModelInferRequest(model_name=self.directory.name)
        for name, value in self.contract.ask(question, deployment).items():
            datatype = deployment.inputs.get(name)
            if datatype is None:
                continue
            try:
                tensors.add(request, name, datatype, value, is_batched=deployment.is_batched)
            except ValueError:
                form = "that can hold what is asked"
                raise self.directory.mismatch("input", name, form) from None
        priority = question.generation.priority
        if deployment.priority_levels and priority != _DEFAULT_PRIORITY:
            level = 1 + priority * deployment.priority_levels // _PRIORITIES
            request.parameters["priority"].int64_param = level
        return request


def client(
    config: models_pb2.ModelConfig,
    channel: grpc.aio.Channel,
    tracing: Tracing,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
) -> StockClient:
    """Return the client of a model whose `engine` is `llmapi`, `ensemble` or `vllm`.

    `channel` leads to its Triton, `tokenizer` and `vocabulary` are those of the model's files.
    Nothing is asked of Triton yet.
    """
    tokens = Tokens.of(tokenizer)
    spoken = _contract(config, tokens, vocabulary)
    directory = Directory(
        channel,
        tracing,
        model=config.name,
        name=config.triton.model or config.name,
        contract=spoken.name,
        inputs=spoken.inputs,
        outputs=spoken.outputs,
    )
    return StockClient(channel, tracing, config.name, spoken, directory, tokens)


def _contract(config: models_pb2.ModelConfig, tokens: Tokens, vocabulary: Vocabulary) -> Contract:
    match config.engine:
        case "llmapi":
            return LlmApi(tokens, dict(config.adapters))
        case "ensemble":
            return Ensemble(tokens, vocabulary, config.triton.is_cumulative)
        case "vllm":
            return Vllm(vocabulary)
    raise ValueError(f"no stock contract is called {config.engine!r}")
