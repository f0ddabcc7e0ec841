"""How requests are put to the stock contracts, and what odd responses mean; without Triton."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tokenizers import Tokenizer
from tritonclient.grpc.model_config_pb2 import ModelConfig

from catenary.config.v1 import models_pb2
from infra.engine.engine import Generation
from infra.engine.vocabulary import Vocabulary
from services import errors
from services.errors import MeshError
from services.inference.engine import Piece
from services.inference.stock import client, failures
from services.inference.stock.choices import together
from services.inference.stock.client import StockClient
from services.inference.stock.contract import Question, refuse_unknown
from services.inference.stock.deployment import Deployment
from services.inference.stock.ensemble import Ensemble
from services.inference.stock.llmapi import LlmApi
from services.inference.stock.tensors import Outputs, Scalar
from services.inference.stock.tokens import Tokens
from services.inference.stock.vllm import Vllm
from services.tracing import Tracing
from tests.inference.stock import contracts
from tests.inference.stock.contracts import Contract
from tests.inference.triton import POCKET

TOKENIZER = Tokenizer.from_file(str(POCKET / "tokenizer.json"))
TOKENS = Tokens.of(TOKENIZER)
VOCABULARY = Vocabulary.read(POCKET / "tokenizer.json")
SENTENCE_PIECE = Vocabulary(VOCABULARY.tokens, strip_first_space=True)
LLMAPI = LlmApi(TOKENS, {"legal": "/adapters/legal", "birds": "/adapters/birds"})
ENSEMBLE = Ensemble(TOKENS, VOCABULARY, is_cumulative=False)


def question(**settings: Any) -> Question:
    generation = Generation(input_ids=[1], max_output_tokens=5, **settings)
    return Question("Hi", generation, seed=7)


def deployed(contract: Contract) -> Deployment:
    return Deployment.read(text_format.Parse(contract.config("m", {}), ModelConfig()))


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, {}),
        ({"temperature": 0.0, "top_p": 0.5}, {"top_k": 1}),
        ({"temperature": 0.7, "top_k": 1}, {"top_k": 1}),
        # Up to 1.1 a temperature by itself is not heeded.
        ({"temperature": 0.7}, {"temperature": 0.7, "top_p": 1.0}),
        ({"temperature": 0.7, "top_k": 0}, {"temperature": 0.7, "top_p": 1.0}),
        ({"temperature": 0.7, "top_k": 9}, {"temperature": 0.7, "top_k": 9}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
    ],
)
def test_how_llmapi_is_told_to_sample(settings: Any, sent: Mapping[str, float]) -> None:
    inputs = LLMAPI.ask(question(**settings), deployed(contracts.LLMAPI))
    sampling = {"temperature", "top_p", "top_k"}
    prefix = "sampling_param_"
    told = {name.removeprefix(prefix): value for name, value in inputs.items()}
    assert {name: told[name] for name in sampling & told.keys()} == sent
    assert inputs["sampling_param_seed"] == 7


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, {"top_k": 1}),
        ({"temperature": 0.0}, {"top_k": 1}),
        ({"temperature": 0.7}, {"temperature": 0.7, "top_p": 1.0, "top_k": 0}),
        ({"temperature": 0.7, "top_k": 0}, {"temperature": 0.7, "top_p": 1.0, "top_k": 0}),
        ({"top_p": 0.5, "top_k": 9}, {"top_p": 0.5, "top_k": 9}),
    ],
)
def test_how_the_ensemble_is_told_to_sample(settings: Any, sent: Mapping[str, float]) -> None:
    inputs = ENSEMBLE.ask(question(**settings), deployed(contracts.ENSEMBLE))
    sampling = {"temperature", "top_p", "top_k"}
    assert {name: inputs[name] for name in sampling & inputs.keys()} == sent


def test_a_sentence_piece_model_streams_only_where_no_space_is_lost() -> None:
    plain, bls = deployed(contracts.ENSEMBLE), deployed(contracts.BLS)
    for vocabulary, is_cumulative, deployment, streams in (
        (VOCABULARY, False, plain, True),
        (SENTENCE_PIECE, False, plain, False),
        (SENTENCE_PIECE, True, plain, True),
        (SENTENCE_PIECE, False, bls, True),
        (VOCABULARY, False, replace(plain, is_decoupled=False), False),
    ):
        asked = Ensemble(TOKENS, vocabulary, is_cumulative).ask(question(), deployment)
        assert asked["stream"] is streams


def test_adapters_are_named_as_each_engine_wants_it() -> None:
    wanted = question(adapter="legal")
    inputs = LLMAPI.ask(wanted, deployed(contracts.LLMAPI_1_3))
    assert (inputs["lora_id"], inputs["lora_name"], inputs["lora_path"]) == (
        2,
        "legal",
        "/adapters/legal",
    )
    parameters = Vllm(VOCABULARY).ask(wanted, deployed(contracts.VLLM))["sampling_parameters"]
    assert '"lora_name": "legal"' in str(parameters)


def test_an_input_of_a_later_version_is_refused_by_name() -> None:
    wanted = question(adapter="legal").generation
    refuse_unknown("pocket", wanted, LLMAPI, deployed(contracts.LLMAPI_1_3))
    with pytest.raises(MeshError) as caught:
        refuse_unknown("pocket", wanted, LLMAPI, deployed(contracts.LLMAPI))
    assert caught.value.reason_name == "UNSUPPORTED"
    assert caught.value.metadata["model"] == "pocket"


@pytest.fixture
async def reached() -> AsyncGenerator[StockClient, None]:
    config = models_pb2.ModelConfig(name="pocket", engine="ensemble")
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        yield client(config, channel, Tracing(), TOKENIZER, VOCABULARY)


@pytest.mark.parametrize(
    ("priority", "levels", "sent"), [(0, 4, 1), (9, 4, 4), (3, 2, 1), (5, 4, 0), (0, 0, 0)]
)
async def test_a_priority_is_sent_where_the_queue_knows_any(
    reached: StockClient, priority: int, levels: int, sent: int
) -> None:
    deployment = replace(deployed(contracts.ENSEMBLE), priority_levels=levels, is_batched=True)
    request = reached._request(question(priority=priority, stop=["a", "b"]), deployment)
    assert request.parameters["priority"].int64_param == sent
    shapes = {each.name: list(each.shape) for each in request.inputs}
    assert shapes["text_input"] == [1, 1]
    assert shapes["stop_words"] == [1, 2]


async def test_an_input_of_a_type_that_cannot_hold_its_value_is_named(
    reached: StockClient,
) -> None:
    deployment = deployed(contracts.ENSEMBLE)
    odd = replace(deployment, inputs={**deployment.inputs, "stop_words": "INT32"})
    with pytest.raises(MeshError) as caught:
        reached._request(question(stop=["a"]), odd)
    assert caught.value.metadata["tensor"] == "stop_words"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Request for unknown model: 'pocket' is not found", "MODEL_NOT_FOUND"),
        ("in ensemble 'pocket', Exceeds maximum queue size", "QUEUE_FULL"),
        ("Request timeout expired", "QUEUE_FULL"),
        ("Request cancelled by client", "DEADLINE_EXCEEDED"),
        ("GRPC server is shutting down and has stopped accepting", "UPSTREAM_UNREACHABLE"),
        ("Error generating request: the prompt 'My secret is'", "UPSTREAM_FAILED"),
    ],
)
def test_what_triton_s_words_mean(text: str, reason: str) -> None:
    error = failures.from_text("pocket", text)
    assert error.reason_name == reason
    assert "secret" not in error.message


@pytest.mark.parametrize("reason", ["timeout", "cancelled"])
async def test_an_engine_that_gives_up_is_not_taken_for_one_that_is_done(reason: str) -> None:
    outputs = Outputs({"text_output": ["Half an"], "finish_reason": [reason]})
    for contract, deployment in (
        (LLMAPI, deployed(contracts.LLMAPI)),
        (Vllm(VOCABULARY), deployed(contracts.VLLM)),
    ):
        with pytest.raises(ValueError, match="gave up"):
            await contract.reader(question(), deployment).read(outputs)


async def test_an_answer_may_be_the_word_none() -> None:
    reader = LLMAPI.reader(question(), deployed(contracts.LLMAPI))
    outputs = Outputs({"text_output": ["None"], "finish_reason": ["stop"]})
    assert (await reader.read(outputs)).text == "None"


async def test_log_probabilities_of_tokens_that_the_text_is_not_usually_made_of() -> None:
    reader = ENSEMBLE.reader(question(logprobs=1), deployed(contracts.ENSEMBLE))
    logprobs: list[Scalar] = [-0.5, -0.25, -0.125, -0.5, -0.5, -0.5, -0.5]
    outputs = Outputs({"text_output": ["links"], "output_log_probs": logprobs})
    entries = (await reader.read(outputs)).logprobs
    assert [entry.logprob for entry in entries] == logprobs
    assert [entry.token for entry in entries] == ["links", *[""] * 6]


async def test_choices_are_read_together_and_all_closed_when_one_fails() -> None:
    closed: list[int] = []

    async def stream(choice: int) -> AsyncGenerator[Piece, None]:
        try:
            for number in range(3):
                if (choice, number) == (1, 2):
                    raise errors.upstream_failed("triton")
                yield Piece(f"{choice}{number}", choice=choice)
        finally:
            closed.append(choice)

    def open_all(*choices: int) -> AsyncGenerator[Piece, None]:
        return together([stream(choice) for choice in choices])

    async with aclosing(open_all(0, 2)) as pieces:
        texts = [piece.text async for piece in pieces]
    assert sorted(texts) == ["00", "01", "02", "20", "21", "22"]
    assert sorted(closed) == [0, 2]
    closed.clear()
    with pytest.raises(MeshError):
        async with aclosing(open_all(0, 1, 2)) as pieces:
            texts = [piece.text async for piece in pieces]
    assert sorted(closed) == [0, 1, 2]
