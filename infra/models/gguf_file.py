"""Reads GGUF files: metadata and tensors, mapped into memory.

A file is a header, the metadata (key, type, value), the list of tensors, and their data. Everything
is little-endian, and nothing that the file says of its own lengths is believed.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np

from infra.models.errors import ModelError
from infra.models.tensors import Array

Value = int | float | bool | str | list[int] | list[float] | list[bool] | list[str]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_DIMENSIONS = 4
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
"""The form of each type of number."""


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor in a file; its rows may be stored in another order."""

    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    data: np.ndarray[Any, np.dtype[np.uint8]]
    """The stored rows, `[rows, bytes]`; one row for a vector."""
    order: np.ndarray[Any, np.dtype[np.intp]] | None = None
    """Which stored row is each row."""

    def rows(self, start: int, stop: int) -> Array:
        """Return some rows."""
        if len(self.shape) == 1:
            return self._read(self.data).reshape(-1)[start:stop]
        stored = self.data[start:stop] if self.order is None else self.data[self.order[start:stop]]
        return self._read(stored)

    def _read(self, stored: np.ndarray[Any, np.dtype[np.uint8]]) -> Array:
        read: Array = gguf.quants.dequantize(stored, self.kind).astype(np.float32, copy=False)
        return read


@dataclass(frozen=True, slots=True)
class GgufFile:
    """What a file holds."""

    path: Path
    metadata: Mapping[str, Value]
    tensors: Mapping[str, GgufTensor]


class _Form(NamedTuple):
    """How a tensor is stored."""

    shape: tuple[int, ...]
    kind: int
    """The number of its type."""


class _Cursor:
    """Reads one thing after the other."""

    def __init__(self, path: Path, data: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        self.path = path
        self.data = data
        self.at = 0

    def take(self, length: int) -> bytes:
        if length > len(self.data) - self.at:
            raise ModelError(self.path, f"is truncated: it has {len(self.data)} bytes")
        taken = self.data[self.at : self.at + length].tobytes()
        self.at += length
        return taken

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.take(self.number("<Q")).decode("utf-8", errors="replace")

    def value(self, kind: int) -> Value:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array(self.number("<I"), self.number("<Q"))
        number: Value = self.number(self._form(kind))
        return number

    def _array(self, kind: int, count: int) -> Value:
        if kind == _STRING:
            return [self.text() for _ in range(count)]
        form = self._form(kind)
        array = np.frombuffer(self.take(count * struct.calcsize(form)), form)
        values: Value = array.tolist()
        return values

    def _form(self, kind: int) -> str:
        if kind not in _SCALARS:
            raise ModelError(self.path, f"is broken: there is no type of metadata {kind}")
        return _SCALARS[kind]


def read(path: Path) -> GgufFile:
    """Read a file's metadata, and find its tensors.

    Raises:
        ModelError: the file is truncated, or is not what it should be.
        OSError: the file cannot be read.
    """
    if not path.stat().st_size:
        raise ModelError(path, "is empty")
    cursor = _Cursor(path, np.memmap(path, np.uint8, "r"))
    if cursor.take(len(_MAGIC)) != _MAGIC:
        raise ModelError(path, "is no GGUF file")
    version = cursor.number("<I")
    if version not in _VERSIONS:
        raise ModelError(path, f"is of version {version}; 2 and 3 can be read")
    tensors, keys = cursor.number("<Q"), cursor.number("<Q")
    metadata = {}
    for _ in range(keys):
        key = cursor.text()
        metadata[key] = cursor.value(cursor.number("<I"))
    if metadata.get("split.count", 1) not in (0, 1):
        raise ModelError(path, "is one of several parts: join them with `llama-gguf-split --merge`")
    places = [_place(cursor) for _ in range(tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise ModelError(path, "is broken: its alignment makes no sense")
    start = -(-cursor.at // alignment) * alignment
    found = {name: _tensor(cursor, name, form, start + offset) for name, form, offset in places}
    return GgufFile(path, metadata, found)


def _place(cursor: _Cursor) -> tuple[str, _Form, int]:
    """Read a tensor's name, its form, and where it begins in the data."""
    name, dimensions = cursor.text(), cursor.number("<I")
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise ModelError(cursor.path, f"is broken: tensor {name!r} has {dimensions} dimensions")
    # The innermost dimension comes first.
    shape = tuple(cursor.number("<Q") for _ in range(dimensions))[::-1]
    return name, _Form(shape, cursor.number("<I")), cursor.number("<Q")


def _tensor(cursor: _Cursor, name: str, form: _Form, start: int) -> GgufTensor:
    shape, kind = form
    try:
        known = gguf.GGMLQuantizationType(kind)
        block_elements, block_bytes = gguf.GGML_QUANT_SIZES[known]
    except (ValueError, KeyError):
        raise ModelError(cursor.path, f"tensor {name!r} is of an unknown type, {kind}") from None
    if not shape[-1] or shape[-1] % block_elements:
        raise ModelError(cursor.path, f"is broken: tensor {name!r} has no whole blocks")
    rows, row_bytes = math.prod(shape[:-1]), shape[-1] // block_elements * block_bytes
    end, size = start + rows * row_bytes, len(cursor.data)
    if end > size:
        raise ModelError(
            cursor.path, f"is truncated: it has {size} bytes, and tensor {name!r} ends at {end}"
        )
    return GgufTensor(shape, known, cursor.data[start:end].reshape(rows, row_bytes))
