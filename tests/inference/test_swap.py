"""Versions come and go in real Triton while streams run, and no request is lost or mixed up."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from catenary.v1 import models_pb2
from infra.triton import server
from services.errors import MeshError
from services.inference import Inference
from services.inference.fleet import Fleet
from tests.inference.asking import asking, begun
from tests.inference.triton import POCKET, Triton, launch, stop
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
_FAILED = models_pb2.Model.STATE_FAILED


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


async def unload(triton: Triton, name: str) -> None:
    """Unload a model as a person does, behind the back of all fleets."""
    address = f"127.0.0.1:{triton.ports.grpc}"
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        await stub.RepositoryModelUnload(service_pb2.RepositoryModelUnloadRequest(model_name=name))


@pytest.mark.parametrize("replicas", [1, 2])
async def test_a_swap_under_load_loses_no_request_and_mixes_none_up(
    folder: Path, second: Path, triton: Triton, replicas: int
) -> None:
    placed = folder / "models"
    async with AsyncExitStack() as stack:
        fleets = [
            await stack.enter_async_context(fleet_over(triton, folder)) for _ in range(replicas)
        ]
        load = Load()
        for fleet in fleets:
            fleet.serve(configured(model(1)))
        for fleet in fleets:
            await card_when(fleet, 1, _READY)
        first_text = await answer_of(fleets[0])
        for fleet in fleets:
            load.begin(fleet)
        await load.answered(50)
        for fleet in fleets:
            fleet.serve(configured(model(2, second)))
        for fleet in fleets:
            card = await card_when(fleet, 2, _READY)
            assert list(card.capabilities) == [
                "chat",
                "tool_choice",
                "json_schema",
                "regex",
                "logprobs",
            ]
        second_text = await answer_of(fleets[0])
        await load.answered(50)
        await load.end()
        assert not load.errors
        assert second_text != first_text
        assert set(load.texts) == {first_text, second_text}
        await until(lambda: stubs(triton) == ["pocket.v2"])
        # Of what Triton itself counts it keeps the failures of all models that there ever were.
        shown = triton.metrics().splitlines()
        assert not [line for line in shown if line.startswith("catenary_") and ".v1" in line]
        await until(lambda: [entry.name for entry in placed.iterdir()] == ["pocket.v2"])


@pytest.mark.parametrize("replicas", [1, 2])
async def test_a_model_that_is_unloaded_by_hand_comes_back_and_is_loaded_once(
    folder: Path, triton: Triton, replicas: int
) -> None:
    async with AsyncExitStack() as stack:
        fleets = [
            await stack.enter_async_context(fleet_over(triton, folder)) for _ in range(replicas)
        ]
        load = Load()
        for fleet in fleets:
            fleet.serve(configured(model(1)))
        for fleet in fleets:
            await card_when(fleet, 1, _READY)
            load.begin(fleet)
        await load.answered(50)
        (before,) = stub_processes(triton)
        await unload(triton, "pocket.v1")
        for fleet in fleets:
            await card_when(fleet, 1, models_pb2.Model.STATE_LOADING)
        # One that starts its engine is there twice for a moment.
        await until(lambda: len(stub_processes(triton).keys() - {before}) == 1)
        (loaded,) = stub_processes(triton).keys() - {before}
        for fleet in fleets:
            await card_when(fleet, 1, _READY)
        await load.answered(50)
        await load.end()
        assert not load.errors
        assert len(load.texts) == 1
        assert stub_processes(triton) == {loaded: "pocket.v1"}


async def test_a_version_that_cannot_be_loaded_leaves_the_old_one_and_the_others_alone(
    folder: Path, triton: Triton
) -> None:
    bad = folder / "bad"
    shutil.copytree(POCKET, bad)
    graph = bad / "openvino_model.xml"
    graph.write_text(graph.read_text().replace('version="opset1"', 'version="opset99"', 1))
    async with fleet_over(triton, folder) as fleet:
        fleet.serve(configured(model(1)))
        await card_when(fleet, 1, _READY)
        text = await answer_of(fleet)
        load = Load()
        load.begin(fleet, 8)
        fleet.serve(configured(model(2, bad), model(1, bad, name="other")))
        failed = await card_when(fleet, 1, _FAILED, "other")
        problem = "the engine cannot be started: Cannot create Parameter layer input_ids id:0"
        assert failed.problem == f"version 1: {problem} from unsupported opset: opset99"
        card = await card_when(fleet, 1, _READY, problem="version 2: ")
        assert card.problem == f"version 2: {problem} from unsupported opset: opset99"
        with pytest.raises(MeshError, match="model 'other' cannot be loaded"):
            await answer_of(fleet, "other")
        await load.answered(10)
        await load.end()
        assert not load.errors
        assert set(load.texts) == {text}
        # What cannot be loaded must not be there when Triton is started anew.
        assert [entry.name for entry in (folder / "models").iterdir()] == ["pocket.v1"]
        # It has never served: it may be mended without another version.
        fleet.serve(configured(model(2, bad), model(1, name="other")))
        assert (await card_when(fleet, 1, _READY, "other")).problem == ""
        assert await answer_of(fleet, "other") == text
        fleet.serve(configured(model(3)))
        assert (await card_when(fleet, 3, _READY)).problem == ""
        assert list(await fleet.cards()) == ["pocket"]
        changed = model(3)
        changed.max_sequences = 32
        fleet.serve(configured(changed))
        card = await card_when(fleet, 3, _READY, problem="version 3: has changed, but")
        assert card.problem.endswith("its version must count up")
        assert await answer_of(fleet) == text
        fleet.serve(configured(model(3)))
        await until_fine(fleet)


async def until_fine(fleet: Fleet) -> None:
    async with asyncio.timeout(20):
        while (await fleet.cards())["pocket"].problem:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_a_removed_model_is_refused_at_once_and_its_streams_end(
    folder: Path, triton: Triton
) -> None:
    async with fleet_over(triton, folder, 0) as fleet:
        fleet.serve(configured(model(1), model(1, name="gone")))
        await card_when(fleet, 1, _READY)
        await card_when(fleet, 1, _READY, "gone")
        long = asking(
            model="gone", temperature=0, min_output_tokens=400, max_output_tokens=600, n=2
        )
        async with begun(Inference(fleet.models, fleet), long) as events:
            fleet.serve(configured(model(1)))
            with pytest.raises(MeshError, match="no model named 'gone'"):
                await answer_of(fleet, "gone")
            assert list(await fleet.cards()) == ["pocket"]
            rest = [event async for event in events]
        assert len(rest[-1].finished.choices) == 2
        await until(lambda: stubs(triton) == ["pocket.v1"])
        fleet.serve(configured(model(1), model(1, name="gone")))
        await card_when(fleet, 1, _READY, "gone")
        assert await answer_of(fleet, "gone") == await answer_of(fleet)


async def test_a_triton_that_was_killed_comes_back_with_what_was_loaded_last(
    folder: Path, second: Path, triton: Triton
) -> None:
    async with fleet_over(triton, folder, 0) as fleet:
        fleet.serve(configured(model(1)))
        await card_when(fleet, 1, _READY)
        fleet.serve(configured(model(2, second)))
        await card_when(fleet, 2, _READY)
        text = await answer_of(fleet)
        await until(lambda: not (folder / "models" / "pocket.v1").exists())
    triton.process.send_signal(signal.SIGKILL)
    triton.process.wait()
    again = launch(folder, server.environment(os.environ))
    try:
        assert stubs(again) == ["pocket.v2"]
        async with fleet_over(again, folder) as fleet:
            fleet.serve(configured(model(2, second)))
            await card_when(fleet, 2, _READY)
            assert await answer_of(fleet) == text
    finally:
        stop(again)
