"""Reads stored weights without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Weights = Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]
"""Hugging Face's parameter names without the leading `model.`."""


def read_weights(path: Path) -> Weights:
    """Return the bfloat16 tensors of a safetensors file as float32.

    The file is the length of a JSON header (8 bytes, little-endian), the header, and the tensors.
    """
    stored = path.read_bytes()
    start = 8 + int.from_bytes(stored[:8], "little")
    header = json.loads(stored[8:start])
    header.pop("__metadata__", None)
    return {
        name.removeprefix("model."): widened(
            stored[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]]
        ).reshape(entry["shape"])
        for name, entry in header.items()
    }


def widened(data: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return bfloat16 values as float32, of which they are the upper half."""
    return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
