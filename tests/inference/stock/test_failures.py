"""The stock contracts with real Triton: what is refused, and what happens when a part fails."""

import asyncio
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from services.inference.prompted import PromptedBackend
from services.link import Call
from tests.inference.asking import ask, asking
from tests.inference.stock import contracts
from tests.inference.stock.conftest import STREAMING, Stock
from tests.inference.stock.triton import connected, start
from tests.inference.triton import Triton, stop


async def failure(
    backend: PromptedBackend, request: pb.GenerateRequest, call: Call | None = None
) -> MeshError:
    with pytest.raises(MeshError) as caught:
        await ask(backend, request, call)
    return caught.value


def endless() -> pb.GenerateRequest:
    return asking("Go on endlessly.", temperature=0, max_output_tokens=1900)


async def test_a_caller_who_leaves_is_told_to_the_model(
    backend: PromptedBackend, stock: Stock, stock_triton: Triton
) -> None:
    def cancelled() -> int:
        return stock_triton.log.read_text().count(f"{stock.model}: cancelled after")

    before = cancelled()
    async with aclosing(backend.generate(endless(), Call("leaves"))) as running:
        if stock in STREAMING:
            await anext(running)
        else:
            with pytest.raises(TimeoutError):
                # It says nothing before it is done.
                await asyncio.wait_for(anext(running), 0.5)
    async with asyncio.timeout(20):
        while cancelled() == before:  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.05)


async def test_a_deadline_ends_it_wherever_it_is(backend: PromptedBackend, stock: Stock) -> None:
    past = Call("r1", deadline=time.monotonic() - 1)
    assert (await failure(backend, asking(), past)).reason_name == "DEADLINE_EXCEEDED"
    if stock in STREAMING:
        soon = Call("r2", deadline=time.monotonic() + 0.5)
        assert (await failure(backend, endless(), soon)).reason_name == "DEADLINE_EXCEEDED"


async def test_a_model_that_triton_does_not_serve(stock_triton: Triton, stock: Stock) -> None:
    async with connected(stock_triton, stock.engine, "unheard-of") as backend:
        assert (await failure(backend, asking())).reason_name == "MODEL_NOT_FOUND"


@pytest.mark.parametrize(
    ("engine", "model", "tensor"),
    [
        ("llmapi", "vllm", "streaming"),
        ("vllm", "ensemble", "sampling_parameters"),
        ("ensemble", "llmapi", "max_tokens"),
    ],
)
async def test_a_model_of_another_contract_is_told_by_the_tensor_it_lacks(
    stock_triton: Triton, engine: str, model: str, tensor: str
) -> None:
    async with connected(stock_triton, engine, model) as backend:
        error = await failure(backend, asking())
    assert error.reason_name == "UPSTREAM_FAILED"
    assert error.metadata["tensor"] == tensor
    assert f"no input '{tensor}'" in error.message


async def test_the_engine_s_own_words_never_travel_on(backend: PromptedBackend) -> None:
    error = await failure(backend, asking("Do it impossibly."))
    assert error.reason_name == "UPSTREAM_FAILED"
    assert "impossibly" not in error.message
    # Nothing is left of it.
    assert (await ask(backend, asking(max_output_tokens=2))).finished.choices


async def test_triton_killed_in_mid_stream_is_told_at_once(tmp_path: Path) -> None:
    triton = start(tmp_path, {"served": ("vllm", contracts.VLLM)})
    async with connected(triton, "vllm", "served") as backend:
        async with aclosing(backend.generate(endless(), Call("r1"))) as running:
            await anext(running)
            children = triton.children()
            triton.process.kill()
            triton.process.wait()
            with pytest.raises(MeshError) as caught:
                async for _ in running:
                    pass
        assert caught.value.reason_name == "UPSTREAM_UNREACHABLE"
        assert (await failure(backend, asking())).reason_name == "UPSTREAM_UNREACHABLE"
    async with asyncio.timeout(10):
        while any(Path(f"/proc/{each}").exists() for each in children):  # noqa: ASYNC110, ASYNC240 - processes tell nobody of their end
            await asyncio.sleep(0.05)


async def test_older_versions_count_nothing_and_cannot_be_guided(tmp_path: Path) -> None:
    triton = start(
        tmp_path,
        {
            "old": ("ensemble", contracts.ENSEMBLE_OLD),
            "whole": ("llmapi", contracts.LLMAPI_WHOLE),
        },
    )
    try:
        async with connected(triton, "ensemble", "old") as backend:
            answer = await ask(backend, asking(temperature=0))
            short = await ask(backend, asking(temperature=0, max_output_tokens=3))
            guided = asking()
            guided.response_format.regex = "[0-9]{3}"
            error = await failure(backend, guided)
        async with connected(triton, "llmapi", "whole") as backend:
            whole = await ask(backend, asking(temperature=0))
    finally:
        stop(triton)
    assert error.reason_name == "UNSUPPORTED"
    assert error.violations[0].field == "response_format.regex"
    assert short.finished.usage.output_tokens == 3
    assert whole.text() == answer.text()
    assert whole.finished.usage == answer.finished.usage
    assert len(whole.deltas) == 1
