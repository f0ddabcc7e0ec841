"""Weights that change under a model that real Triton, or the link itself, serves."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from catenary.v1 import models_pb2
from infra.triton import placement, server
from services.errors import MeshError
from tests.inference.triton import POCKET, Triton, launch, stop
from tests.inference.versions import answer_of, card_when, configured, fleet_over, model

_READY = models_pb2.Model.STATE_READY
_FAILED = models_pb2.Model.STATE_FAILED


@pytest.fixture
def triton(tmp_path: Path) -> Iterator[Triton]:
    placement.clear(tmp_path / "models")
    running = launch(tmp_path, server.environment(os.environ))
    yield running
    assert stop(running) == 0


@pytest.mark.parametrize("engine", ["openvino", "in_process"])
async def test_weights_cut_short_under_a_model_are_told_and_it_comes_back_when_they_are_whole(
    tmp_path: Path, triton: Triton, engine: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(POCKET, copy)
    weights = copy / "openvino_model.bin"
    whole = weights.read_bytes()
    async with fleet_over(triton, tmp_path, 0) as fleet:
        fleet.serve(configured(model(1, copy, engine=engine)))
        await card_when(fleet, 1, _READY)
        text = await answer_of(fleet)
        os.truncate(weights, 100_000)
        with pytest.raises(MeshError, match="failed while it worked on the request"):
            await answer_of(fleet)
        async with asyncio.timeout(60):
            while (await fleet.cards())["pocket"].state != _FAILED:
                # Whoever asks is told whether it is tried again, or in vain.
                with pytest.raises(MeshError, match=r"is restarting|cannot be loaded"):
                    await answer_of(fleet)
                await asyncio.sleep(0.05)
        card = (await fleet.cards())["pocket"]
        told = f"'{weights}' is cut short: it has 100000 bytes of {len(whole)}"
        assert card.problem == f"version 1: {told}"
        with pytest.raises(MeshError, match="model 'pocket' cannot be loaded") as caught:
            await answer_of(fleet)
        assert caught.value.code == grpc.StatusCode.UNAVAILABLE
        weights.write_bytes(whole)
        assert (await card_when(fleet, 1, _READY)).problem == ""
        assert await answer_of(fleet) == text


async def test_weights_that_are_deleted_under_a_model_harm_nobody(
    tmp_path: Path, triton: Triton
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(POCKET, copy)
    async with fleet_over(triton, tmp_path, 0) as fleet:
        fleet.serve(configured(model(1, copy)))
        await card_when(fleet, 1, _READY)
        text = await answer_of(fleet)
        (copy / "openvino_model.bin").unlink()
        assert await answer_of(fleet) == text
