"""Rounds weights to int8, each row with a scale of its own."""

from typing import Any, NamedTuple

import numpy as np

from infra.models.errors import ModelError
from infra.models.tensors import Array, Tensor, chunks

Scales = np.ndarray[Any, np.dtype[np.float16]]


class Int8(NamedTuple):
    """A matrix: what is stored times its row's scale."""

    stored: np.ndarray[Any, np.dtype[np.int8]]
    scales: Scales
    """One for each row: `[rows, 1]`."""


def quantize(name: str, tensor: Tensor) -> Int8:
    """Return a tensor as int8; its name is for errors.

    Raises:
        ModelError: a number is not finite.
    """
    matrix = Int8(np.empty(tensor.shape, np.int8), np.empty((tensor.shape[0], 1), np.float16))
    for start, rows in chunks(tensor):
        here = slice(start, start + len(rows))
        matrix.scales[here] = scale = _scale(name, rows)
        rounded = np.rint(rows / scale.astype(np.float32))
        matrix.stored[here] = np.clip(rounded, -127, 127).astype(np.int8)
    return matrix


def _scale(name: str, rows: Array) -> Scales:
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127
    if not (scale < np.finfo(np.float16).max).all():
        raise ModelError(f"tensor {name!r}", "holds numbers that are too large, or none at all")
    stored: Scales = np.maximum(scale, np.finfo(np.float16).smallest_normal).astype(np.float16)
    return stored
