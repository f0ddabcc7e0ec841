"""Real Triton with the CPU engine, once for all tests of the inference link."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.inference import Inference
from tests.inference.triton import Triton, connected, served, start, stop


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    """Triton with `pocket`, and with `narrow`: one sequence at a time, and one that waits."""
    running = start(
        tmp_path_factory.mktemp("triton"),
        served(),
        served("narrow", max_sequences=1, max_queue=1),
    )
    yield running
    stop(running)


@pytest.fixture
async def link(triton: Triton) -> AsyncIterator[Inference]:
    async with connected(triton, "pocket", "narrow", "absent") as inference:
        yield inference
