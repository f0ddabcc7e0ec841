"""A Triton that fails in ways in which the real one cannot be made to, in its own protocol."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tokenizers import Tokenizer
from tritonclient.grpc import service_pb2, service_pb2_grpc

from catenary.config.v1 import models_pb2
from infra.engine.engine import Generation
from infra.engine.vocabulary import Vocabulary
from services.errors import MeshError
from services.inference.engine import EngineRequest, Piece
from services.inference.stock import client, tensors
from services.inference.stock.client import StockClient
from services.link import Call
from services.tracing import Tracing
from tests.inference.stock import contracts
from tests.inference.triton import POCKET

REQUEST = EngineRequest("Hi", Generation(input_ids=[1], max_output_tokens=5))


@dataclass
class OddTriton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Answers as it is told to."""

    texts: list[str] = field(default_factory=list)
    """What each response says; the choice never ends by itself."""
    error: str = ""
    """What comes then."""
    is_silent: bool = False
    described: int = 0
    """How often it was asked what the model is."""

    async def ModelConfig(self, _request: Any, _context: Any) -> Any:  # noqa: N802 - Triton's
        self.described += 1
        if self.is_silent:
            await asyncio.Event().wait()
        answer = service_pb2.ModelConfigResponse()
        text_format.Parse(contracts.LLMAPI.config("m", {}), answer.config)
        return answer

    async def ModelStreamInfer(self, _requests: Any, _context: Any) -> AsyncIterator[Any]:  # noqa: N802 - Triton's
        for text in self.texts:
            answer = service_pb2.ModelStreamInferResponse()
            answer.infer_response.outputs.add(name="text_output", datatype="BYTES", shape=[1])
            data = tensors.encode("BYTES", [text]) if text else b"\x05\0\0\0four"
            answer.infer_response.raw_output_contents.append(data)
            yield answer
        if self.error:
            yield service_pb2.ModelStreamInferResponse(error_message=self.error)


@pytest.fixture
async def odd() -> AsyncIterator[tuple[OddTriton, StockClient]]:
    triton, server = OddTriton(), grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(triton, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    config = models_pb2.ModelConfig(name="pocket", engine="llmapi")
    tokenizer = Tokenizer.from_file(str(POCKET / "tokenizer.json"))
    vocabulary = Vocabulary.read(POCKET / "tokenizer.json")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield triton, client(config, channel, Tracing(), tokenizer, vocabulary)
    await server.stop(None)


async def generated(reached: StockClient, deadline: float | None = None) -> list[Piece]:
    return [piece async for piece in reached.generate(REQUEST, Call("r1", deadline=deadline))]


async def failure(reached: StockClient, deadline: float | None = None) -> str:
    with pytest.raises(MeshError) as caught:
        await generated(reached, deadline)
    return caught.value.reason_name


async def test_a_response_that_is_none_breaks_the_stream(
    odd: tuple[OddTriton, StockClient],
) -> None:
    triton, reached = odd
    triton.texts = ["One", ""]
    assert await failure(reached) == "STREAM_BROKEN"
    triton.texts = ["One", "Two"]
    assert await failure(reached) == "STREAM_BROKEN"


async def test_a_stream_that_ends_too_soon_gives_no_end(odd: tuple[OddTriton, StockClient]) -> None:
    triton, reached = odd
    triton.texts = ["One", "One and"]
    pieces = await generated(reached)
    assert "".join(piece.text for piece in pieces) == "One and"
    assert not any(piece.finish_reason for piece in pieces)


async def test_nothing_is_said_before_a_refusal(odd: tuple[OddTriton, StockClient]) -> None:
    triton, reached = odd
    triton.error = "Exceeds maximum queue size"
    pieces = reached.generate(REQUEST, Call("r1"))
    with pytest.raises(MeshError) as caught:
        await anext(pieces)
    assert caught.value.reason_name == "QUEUE_FULL"
    assert caught.value.retry_after_s


async def test_after_a_failure_triton_is_asked_again_what_the_model_is(
    odd: tuple[OddTriton, StockClient],
) -> None:
    triton, reached = odd
    await reached.open()
    await generated(reached)
    assert triton.described == 1
    triton.error = "it broke"
    assert await failure(reached) == "UPSTREAM_FAILED"
    assert await failure(reached) == "UPSTREAM_FAILED"
    assert triton.described == 2


async def test_a_triton_that_says_nothing_is_given_up(
    odd: tuple[OddTriton, StockClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    triton, reached = odd
    triton.is_silent = True
    soon = time.monotonic() + 0.1
    assert await failure(reached, soon) == "DEADLINE_EXCEEDED"
    monkeypatch.setattr("services.inference.stock.deployment._ANSWER_S", 0.1)
    assert await failure(reached) == "UPSTREAM_UNREACHABLE"
