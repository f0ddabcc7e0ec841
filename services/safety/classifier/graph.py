"""Builds the OpenVINO graph that judges a window: the first layers of a BERT in int8, and a head.

Weights have a scale for each row. What a layer is given is rounded within a range measured when the
model was made, so that a judgement never depends on what else is judged.
"""

from collections.abc import Mapping

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node
from openvino import opset13 as op

from infra.embedding.graph import Bert
from infra.embedding.shape import Shape

Ranges = Mapping[str, tuple[float, float]]
"""By the name of a layer: the lowest and the highest value that it is given."""

# Added to a value, lets any other be the largest.
_HIDDEN = -1e4
_STEPS, _LARGEST = 256, 127


def build(weights: Mapping[str, NDArray[np.float32]], shape: Shape, ranges: Ranges) -> ov.Model:
    """Return the model: `ids` and `mask`, both `[1, tokens]`, in; `[1, outputs]` out.

    Raises:
        ValueError: a weight, or the range of one, is missing.
    """
    try:
        return _Judge(weights, shape, ranges).model()
    except KeyError as error:
        raise ValueError(f"the classifier has no weight {error}") from None


class _Judge(Bert):
    def __init__(
        self, weights: Mapping[str, NDArray[np.float32]], shape: Shape, ranges: Ranges
    ) -> None:
        super().__init__(weights, shape)
        self.ranges = ranges

    def model(self) -> ov.Model:
        ids, mask = op.parameter([1, -1], np.int32), op.parameter([1, -1], np.float32)
        x = self.encoded(ids, mask)
        there = op.unsqueeze(mask, _numbers(2))
        total = op.reduce_sum(op.multiply(x, there), _numbers(1))
        mean = op.divide(total, op.reduce_sum(there, _numbers(1)))
        hidden = op.multiply(op.subtract(_float(1.0), there), _float(_HIDDEN))
        most = op.reduce_max(op.add(x, hidden), _numbers(1))
        logits = super().dense("head", op.concat([mean, most], -1))
        return ov.Model([op.result(logits)], [ids, mask], "safety")

    def weight(self, name: str) -> Node:
        # Nothing copies 47 MB of embeddings: they stay in the file that is mapped into memory.
        return op.constant(self.weights[name], shared_memory=True)

    def dense(self, name: str, x: Node) -> Node:
        weight = self.weights[f"{name}.weight"]
        scale = np.abs(weight).max(axis=1, keepdims=True) / _LARGEST
        steps = op.constant(np.rint(weight / scale).astype(np.int8))
        rows = op.multiply(op.convert(steps, np.float32), op.constant(scale))
        bounds = [_float(bound) for bound in self.ranges[name]]
        rounded = op.fake_quantize(x, *bounds, *bounds, _STEPS)
        product = op.matmul(rounded, rows, transpose_a=False, transpose_b=True)
        return op.add(product, self.weight(f"{name}.bias"))


def _numbers(value: int) -> Node:
    return op.constant(np.array([value], np.int64))


def _float(value: float) -> Node:
    return op.constant(np.array(value, np.float32))
