"""The model of random weights that measurements use."""

from pathlib import Path

import pytest

from bench import random_model
from infra.engine.engine import Generation
from infra.models.architecture import architecture
from tests.models.running import generated


def test_a_model_of_the_size_asked_for_runs_and_is_always_the_same(tmp_path: Path) -> None:
    shapes = [random_model.make(tmp_path / name, 3e6) for name in ("one", "two")]
    assert random_model.count(shapes[0]) == pytest.approx(3e6, rel=0.3)
    stored = [(tmp_path / name / "openvino_model.bin").read_bytes() for name in ("one", "two")]
    assert stored[0] == stored[1]
    ask = Generation(input_ids=[1, 4, 300], max_output_tokens=8, temperature=0, ignore_eos=1)
    tokens, reason = generated(tmp_path / "one", ask)
    assert (len(tokens), reason) == (8, "length")
    assert len(set(tokens)) > 1


@pytest.mark.parametrize("billions", [0.1, 0.5, 1.5, 7])
def test_a_model_has_about_as_many_parameters_as_asked_for(billions: float) -> None:
    told = random_model.shape_of(billions * 1e9, 2048, 2048)
    shape = architecture(told, "here")
    assert random_model.count(shape) == pytest.approx(billions * 1e9, rel=0.05)


def test_a_number_needs_its_unit() -> None:
    assert random_model.number("0.5b") == 5e8
    assert random_model.number("20M") == 2e7
    with pytest.raises(Exception, match="must end in m or b"):
        random_model.number("500")
