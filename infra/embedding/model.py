"""The compiled graph of an embedding model: tokens in, vectors out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import openvino as ov

from infra.embedding import graph, weights
from infra.embedding.batching import Ids, Vectors
from infra.embedding.shape import Shape


class Model:
    """The compiled graph; used by one thread."""

    @classmethod
    def read(cls, folder: Path, shape: Shape, precision: str = "f32") -> Self:
        """Build and compile the graph of a folder's weights.

        With the precision `bf16` it takes two thirds of the time where the CPU has it: a vector is
        then off by a cosine of 0.00002.

        Raises:
            OSError: the weights cannot be read.
            ValueError: they are not what they should be.
        """
        return cls(graph.build(weights.read(folder / "model.safetensors"), shape), precision)

    def __init__(self, model: ov.Model, precision: str) -> None:
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        self._request: Any = ov.Core().compile_model(model, "CPU", config).create_infer_request()

    def __call__(self, texts: Sequence[Ids]) -> Vectors:
        """Return the vector of each text."""
        longest = max(map(len, texts))
        ids = np.zeros((len(texts), longest), np.int32)
        mask = np.zeros((len(texts), longest), np.float32)
        for row, tokens in enumerate(texts):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        vectors: Vectors = self._request.infer([ids, mask])[0]
        return vectors
