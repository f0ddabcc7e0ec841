"""Reads weights from a safetensors file, without torch and without copying them."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]
"""Hugging Face's names of the parameters."""


def read(file: Path) -> Weights:
    """Return the float32 tensors of a file, mapped into memory; others are left out.

    The file is the length of a JSON header (8 bytes, little-endian), the header, and the tensors.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is truncated, or is not such a file.
    """
    try:
        # Copied where it is written, which nobody does: OpenVINO shares only what may be written.
        stored = np.memmap(file, np.uint8, mode="c")
        start = 8 + int.from_bytes(stored[:8].tobytes(), "little")
        header = json.loads(stored[8:start].tobytes())
        return {
            name: stored[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]]
            .view(np.float32)
            .reshape(entry["shape"])
            for name, entry in header.items()
            if entry.get("dtype") == "F32"
        }
    except (ValueError, AttributeError, TypeError, LookupError):
        raise ValueError(f"{file} is truncated, or is not a safetensors file") from None
