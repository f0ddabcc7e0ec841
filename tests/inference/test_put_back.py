"""Models are taken out and put back, over real Triton, which never loads what it still unloads."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from catenary.v1 import models_pb2
from services.errors import MeshError
from services.inference import Inference
from tests.inference.asking import asking, begun
from tests.inference.triton import Triton
from tests.inference.versions import (
    Load,
    answer_of,
    card_when,
    configured,
    emptied,
    fleet_over,
    model,
    second_version,
    stub_processes,
    stubs,
    until,
)

_READY = models_pb2.Model.STATE_READY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("swap")


@pytest.fixture(scope="module")
def second(folder: Path) -> Path:
    return second_version(folder)


@pytest.fixture
def triton(folder: Path) -> Iterator[Triton]:
    with emptied(folder) as running:
        yield running


async def test_the_last_replica_to_give_a_version_up_has_it_unloaded(
    folder: Path, second: Path, triton: Triton, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with fleet_over(triton, folder, 0) as early, fleet_over(triton, folder, 0) as late:
        for fleet in (early, late):
            fleet.serve(configured(model(1)))
            await card_when(fleet, 1, _READY)
        load = Load()
        load.begin(late, 8)
        await load.answered(10)
        early.serve(configured(model(2, second)))
        await card_when(early, 2, _READY)
        await until(lambda: "model left" in caplog.text)
        await load.answered(10)
        assert len(load.texts) == 1
        assert stubs(triton) == ["pocket.v1", "pocket.v2"]
        late.serve(configured(model(2, second)))
        await card_when(late, 2, _READY)
        await load.answered(20)
        await load.end()
        assert not load.errors
        assert len(load.texts) == 2
        await until(lambda: stubs(triton) == ["pocket.v2"])
        await until(lambda: not (folder / "models" / "pocket.v1").exists())


@pytest.mark.parametrize("replicas", [1, 2])
async def test_a_model_put_back_while_triton_unloads_it_is_loaded_once_it_is_gone(
    folder: Path, triton: Triton, replicas: int
) -> None:
    async with AsyncExitStack() as stack:
        fleets = [
            await stack.enter_async_context(fleet_over(triton, folder, 0)) for _ in range(replicas)
        ]
        for fleet in fleets:
            fleet.serve(configured(model(1)))
        for fleet in fleets:
            await card_when(fleet, 1, _READY)
        text = await answer_of(fleets[0])
        for _ in range(3):
            for fleet in fleets:
                fleet.serve(configured())
            await until(lambda: triton.index("pocket.v1") == "UNLOADING")
            for fleet in fleets:
                fleet.serve(configured(model(1)))
            for fleet in fleets:
                await card_when(fleet, 1, _READY)
                assert await answer_of(fleet) == text
        await until(lambda: stubs(triton) == ["pocket.v1"])
    assert "Signal" not in triton.log.read_text()


async def test_a_model_put_back_under_a_long_call_serves_at_once(
    folder: Path, second: Path, triton: Triton
) -> None:
    async with fleet_over(triton, folder, 0) as fleet:
        fleet.serve(configured(model(1)))
        await card_when(fleet, 1, _READY)
        text = await answer_of(fleet)
        long = asking(
            model="pocket", temperature=0, min_output_tokens=900, max_output_tokens=900, n=16
        )
        async with begun(Inference(fleet.models, fleet), long) as events:
            (before,) = stub_processes(triton)
            fleet.serve(configured())
            with pytest.raises(MeshError, match="no model named 'pocket'"):
                await answer_of(fleet)
            fleet.serve(configured(model(1)))
            await card_when(fleet, 1, _READY)
            assert await answer_of(fleet) == text
            fleet.serve(configured())
            with pytest.raises(MeshError, match="no model named 'pocket'"):
                await answer_of(fleet)
            fleet.serve(configured(model(2, second)))
            await card_when(fleet, 2, _READY)
            assert await answer_of(fleet) != text
            assert before in stub_processes(triton)
            rest = [event async for event in events]
        assert len(rest[-1].finished.choices) == 16
        await until(lambda: stubs(triton) == ["pocket.v2"])
