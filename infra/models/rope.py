"""The frequencies of rotary positions, stretched as a configuration says."""

import math

import numpy as np

from infra.models.config import Config, Rope
from infra.models.errors import ModelError
from infra.models.tensors import Array

_THETA = 10_000.0
"""Where a configuration tells none."""


def frequencies(config: Config, head_size: int, where: object) -> Array:
    """Return the frequencies in radians a token, `[head_size / 2]`; `where` is for errors.

    Raises:
        ModelError: the positions are stretched in a way that is not known.
    """
    scaling = config.rope_parameters or config.rope_scaling or Rope()
    if min(config.partial_rotary_factor, scaling.partial_rotary_factor) < 1:
        raise ModelError(str(where), "only a part of each head is rotated: that is not supported")
    plain = unstretched(config.rope_theta or scaling.rope_theta or _THETA, head_size)
    if scaling.kind == "default":
        return plain
    if scaling.kind == "linear":
        return (plain / scaling.factor).astype(np.float32)
    if scaling.kind == "llama3":
        return _llama3(plain, scaling, where)
    raise ModelError(
        str(where),
        f"rope scaling {scaling.kind!r} is not among default, linear, llama3",
    )


def unstretched(theta: float, head_size: int) -> Array:
    """Return the frequencies of rotary positions as they were first defined."""
    exponents = np.arange(0, head_size, 2, dtype=np.float32) / head_size
    plain: Array = (theta**-exponents).astype(np.float32)
    return plain


def _llama3(plain: Array, scaling: Rope, where: object) -> Array:
    """Stretch slow frequencies, keep fast ones, and go smoothly from one to the other."""
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    trained = scaling.original_max_position_embeddings
    if low is None or high is None or trained is None or low >= high:
        raise ModelError(str(where), "rope scaling 'llama3' lacks a factor, or has a wrong one")
    turns = trained * plain / (2 * math.pi)
    kept = np.clip((turns - low) / (high - low), 0, 1)
    stretched: Array = kept * plain + (1 - kept) * plain / scaling.factor
    return stretched.astype(np.float32)
