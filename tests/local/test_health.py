"""Whether a process with the inference link can serve, as its models' cards tell."""

import pytest

from catenary import health
from catenary.v1.models_pb2 import Model
from tests.local.fake_mesh import FakeMesh, serving

READY = Model(name="a", state=Model.STATE_READY, problem="version 2: cannot be loaded")
LOADING = Model(name="b", state=Model.STATE_LOADING)
FAILED = Model(name="c", state=Model.STATE_FAILED, problem="version 1: cannot be loaded")


async def test_a_process_whose_models_serve_is_ready() -> None:
    with serving(FakeMesh(models=[READY])) as mesh:
        await health.models(mesh.address)


async def test_a_model_that_is_being_loaded_is_waited_for() -> None:
    waits = pytest.raises(health.NotReadyError, match="has not loaded model 'b' yet")
    with serving(FakeMesh(models=[READY, LOADING])) as mesh, waits:
        await health.models(mesh.address)


async def test_a_model_that_cannot_be_loaded_is_told_with_its_problem() -> None:
    fails = pytest.raises(health.FailedError)
    with serving(FakeMesh(models=[LOADING, FAILED])) as mesh, fails as caught:
        await health.models(mesh.address)
    assert str(caught.value) == "cannot serve model 'c': version 1: cannot be loaded"


async def test_a_process_that_does_not_answer_is_not_ready() -> None:
    with serving(FakeMesh()) as gone:
        pass
    with pytest.raises(health.NotReadyError, match="does not answer"):
        await health.models(gone.address)
