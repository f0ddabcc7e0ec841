"""A model's weights, read a few rows at a time so that they never fill the memory."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from infra.models.errors import ModelError

Array = np.ndarray[Any, np.dtype[np.float32]]

_CHUNK_ELEMENTS = 16 * 1024 * 1024
"""What is widened to float32 at once: 64 MiB."""


class Tensor(Protocol):
    """Numbers that are somewhere else, by rows: what is under the first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the length of each axis."""

    def rows(self, start: int, stop: int) -> Array:
        """Return some rows, `[stop - start, *shape[1:]]`."""


Weights = Mapping[str, Tensor]
"""Tensors by the names of Hugging Face, without the leading `model.`."""


def whole(tensor: Tensor) -> Array:
    """Return all rows."""
    return tensor.rows(0, tensor.shape[0])


def chunks(tensor: Tensor) -> Iterator[tuple[int, Array]]:
    """Yield all rows of a matrix in pieces that fit in memory, each with where it starts."""
    length, width = tensor.shape
    step = max(1, _CHUNK_ELEMENTS // width)
    for start in range(0, length, step):
        yield start, tensor.rows(start, min(length, start + step))


def check(weights: Weights, expected: Mapping[str, tuple[int, ...]], where: object) -> None:
    """Check that the weights are the expected ones, no more and no less.

    Raises:
        ModelError: a tensor is missing, has another shape, or is not known.
    """
    for name, shape in expected.items():
        if name not in weights:
            raise ModelError(str(where), f"has no tensor {name!r}")
        if weights[name].shape != shape:
            raise ModelError(
                str(where), f"tensor {name!r} has shape {weights[name].shape}, and not {shape}"
            )
    # A tensor that is left out would be an answer that is wrong without a word.
    unknown = sorted(weights.keys() - expected.keys())
    if unknown:
        raise ModelError(str(where), f"has a tensor that its architecture has not: {unknown[0]!r}")
