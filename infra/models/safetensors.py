"""Reads safetensors files: the weights of a Hugging Face folder, mapped into memory.

A file is the length of a JSON header (8 bytes, little-endian), the header, and the tensors.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from infra.models.errors import ModelError
from infra.models.tensors import Array, Tensor, Weights

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"

_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_MAX_HEADER_BYTES = 100_000_000
# Old checkpoints hold rotary frequencies, which the configuration tells as well.
_DERIVED = ".rotary_emb.inv_freq"


class _Entry(msgspec.Struct, frozen=True):
    """What a header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]
    """Where it begins and ends, counted from the header's end."""


class _Index(msgspec.Struct, frozen=True):
    """Which file holds each tensor."""

    weight_map: dict[str, str]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file."""

    shape: tuple[int, ...]
    dtype: str
    data: np.ndarray[Any, np.dtype[np.uint8]]

    def rows(self, start: int, stop: int) -> Array:
        """Return some rows."""
        row_bytes = math.prod(self.shape[1:]) * _ITEM_BYTES[self.dtype]
        data = self.data[start * row_bytes : stop * row_bytes]
        return _widened(data, self.dtype).reshape(stop - start, *self.shape[1:])


def files(folder: Path) -> list[Path]:
    """Return the files that hold the weights of a folder; none when there are no weights.

    Raises:
        ModelError: the index cannot be read, or names a file that is not there.
    """
    index = folder / INDEX
    if index.is_file():
        found = sorted({folder / Path(name).name for name in _shards(index)})
        missing = [file for file in found if not file.is_file()]
        if missing:
            raise ModelError(index, f"names {missing[0].name!r}, which is not there")
        return found
    single = folder / SINGLE
    return [single] if single.is_file() else sorted(folder.glob("*.safetensors"))


def read(folder: Path) -> Weights:
    """Return the weights of a folder.

    Raises:
        ModelError: a file is truncated, or is not what it should be.
        OSError: a file cannot be read.
    """
    weights: dict[str, Tensor] = {}
    for file in files(folder):
        for name, tensor in _tensors(file):
            if not name.endswith(_DERIVED):
                weights[name.removeprefix("model.")] = tensor
    return weights


def _shards(index: Path) -> Iterator[str]:
    try:
        parsed = msgspec.json.decode(index.read_bytes(), type=_Index)
    except msgspec.DecodeError as error:
        raise ModelError(index, f"is no index of weights: {error}") from None
    yield from parsed.weight_map.values()


def _tensors(file: Path) -> Iterator[tuple[str, StoredTensor]]:
    size = file.stat().st_size
    if size < 8:  # noqa: PLR2004 - the length of the header
        raise ModelError(file, f"is truncated: it has {size} bytes")
    data = np.memmap(file, np.uint8, "r")
    length = int.from_bytes(data[:8].tobytes(), "little")
    if length > _MAX_HEADER_BYTES:
        raise ModelError(file, "is no safetensors file")
    start = 8 + length
    if start > size:
        raise ModelError(file, f"is truncated: it has {size} bytes, its header alone {start}")
    for name, entry in _header(file, data[8:start].tobytes()).items():
        begin, end = entry.data_offsets
        if entry.dtype not in _ITEM_BYTES:
            known = ", ".join(_ITEM_BYTES)
            raise ModelError(file, f"tensor {name!r} is {entry.dtype}; {known} can be read")
        if begin < 0 or min(entry.shape, default=1) < 0 or not entry.shape:
            raise ModelError(file, f"tensor {name!r} has no sensible shape or place")
        if end - begin != math.prod(entry.shape) * _ITEM_BYTES[entry.dtype]:
            raise ModelError(file, f"tensor {name!r} has another size than its shape tells")
        if start + end > size:
            raise ModelError(
                file,
                f"is truncated: it has {size} bytes, and tensor {name!r} ends at {start + end}",
            )
        yield name, StoredTensor(entry.shape, entry.dtype, data[start + begin : start + end])


def _header(file: Path, text: bytes) -> dict[str, _Entry]:
    try:
        parsed = json.loads(text)
        parsed.pop("__metadata__", None)
        return msgspec.convert(parsed, dict[str, _Entry])
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise ModelError(file, "is no safetensors file: its header is broken") from None


def _widened(data: np.ndarray[Any, np.dtype[np.uint8]], dtype: str) -> Array:
    if dtype == "BF16":  # the upper half of a float32
        return (data.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return data.view("<f2" if dtype == "F16" else "<f4").astype(np.float32)
