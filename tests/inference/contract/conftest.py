"""One engine after the other, each started once."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.inference.contract.engines import ENGINES, Engine


@pytest_asyncio.fixture(params=ENGINES, scope="module", loop_scope="module")
async def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    name: str = request.param
    async with ENGINES[name](tmp_path_factory.mktemp(name)) as running:
        yield running
