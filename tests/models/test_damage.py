"""Whatever stands in a file of weights, to read it ends, in an error or in numbers."""

import contextlib
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.models import gguf_file, safetensors
from infra.models.errors import ModelError
from tests.models.making import write_safetensors

Q8_0 = gguf.GGMLQuantizationType.Q8_0


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A little file of safetensors, and one of GGUF."""
    folder = tmp_path_factory.mktemp("small")
    value = np.ones((2, 32), np.float32)
    write_safetensors(folder / "model.safetensors", {"a.weight": value, "b.weight": value})
    writer = gguf.GGUFWriter(folder / "it.gguf", "llama")
    writer.add_array("numbers", [1, 2, 3])
    writer.add_array("texts", ["a", "b"])
    writer.add_tensor("t", gguf.quants.quantize(value, Q8_0), raw_dtype=Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return (folder / "model.safetensors").read_bytes(), (folder / "it.gguf").read_bytes()


damages = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4)
keeps_going = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300
)


@given(damages, st.floats(0, 1))
@keeps_going
def test_any_damage_to_safetensors_is_an_error_or_harmless(
    small: tuple[bytes, bytes], tmp_path: Path, changed: list[tuple[float, int]], kept: float
) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(damaged(small[0], changed, kept))
    with contextlib.suppress(ModelError):
        for tensor in safetensors.read(tmp_path).values():
            tensor.rows(0, tensor.shape[0])


@given(damages, st.floats(0, 1))
@keeps_going
def test_any_damage_to_gguf_is_an_error_or_harmless(
    small: tuple[bytes, bytes], tmp_path: Path, changed: list[tuple[float, int]], kept: float
) -> None:
    file = tmp_path / "it.gguf"
    file.write_bytes(damaged(small[1], changed, kept))
    with contextlib.suppress(ModelError):
        for tensor in gguf_file.read(file).tensors.values():
            tensor.rows(0, tensor.shape[0])


def damaged(content: bytes, changed: list[tuple[float, int]], kept: float) -> bytes:
    new = bytearray(content)
    for place, byte in changed:
        new[int(place * len(new))] = byte
    return bytes(new[: int(kept * len(new))] if kept > 0.5 else new)
