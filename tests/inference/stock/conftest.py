"""Real Triton with models that speak the stock contracts, once for all their tests."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest

from services.inference.prompted import PromptedBackend
from tests.inference.stock import contracts
from tests.inference.stock.triton import connected, start
from tests.inference.triton import Triton, stop


class Stock(NamedTuple):
    """A model in Triton, and the engine by which a configuration reaches it."""

    model: str
    engine: str


STREAMING = [
    Stock("llmapi", "llmapi"),
    Stock("ensemble", "ensemble"),
    Stock("bls", "ensemble"),
    Stock("vllm", "vllm"),
]
ALL = [*STREAMING, Stock("llmapi_1_2", "llmapi")]


@pytest.fixture(scope="session")
def stock_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    running = start(
        tmp_path_factory.mktemp("stock"),
        {
            "llmapi": ("llmapi", contracts.LLMAPI),
            "llmapi_1_2": ("llmapi", contracts.LLMAPI_1_2),
            "ensemble": ("ensemble", contracts.ENSEMBLE),
            "bls": ("ensemble", contracts.BLS),
            "vllm": ("vllm", contracts.VLLM),
        },
    )
    yield running
    stop(running)


@pytest.fixture(params=ALL, ids=[each.model for each in ALL])
def stock(request: pytest.FixtureRequest) -> Stock:
    chosen: Stock = request.param
    return chosen


@pytest.fixture
async def backend(stock_triton: Triton, stock: Stock) -> AsyncIterator[PromptedBackend]:
    async with connected(stock_triton, stock.engine, stock.model) as reached:
        yield reached
