"""Builds the OpenVINO graph of a BERT that gives one vector a text.

The weights stay float32: rounded to int8 a text's vector would depend, in the third decimal, on
which texts it is batched with.
"""

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset13 as op

from infra.embedding.shape import Shape
from infra.embedding.weights import Weights

# Added to a score, leaves nothing of it after the softmax.
_HIDDEN = -1e9


def build(weights: Weights, shape: Shape) -> ov.Model:
    """Return the model: `ids` and `mask`, both `[texts, tokens]`, in; `[texts, dimensions]` out.

    `mask` is 1 where a token is, and 0 where there is padding. Every vector has the length 1.

    Raises:
        ValueError: a weight is missing.
    """
    try:
        return Bert(weights, shape).model()
    except KeyError as error:
        raise ValueError(f"the embedding model has no weight {error}") from None


class Bert:
    """The parts that the graph of a BERT is built of."""

    def __init__(self, weights: Weights, shape: Shape) -> None:
        self.weights = weights
        self.shape = shape

    def model(self) -> ov.Model:
        """Return the model whose output is a vector a text."""
        ids, mask = op.parameter([-1, -1], np.int32), op.parameter([-1, -1], np.float32)
        x = self.encoded(ids, mask)
        # The mean and the sum over a text's tokens point the same way.
        total = op.reduce_sum(op.multiply(x, op.unsqueeze(mask, _constant(2))), _constant([1]))
        unit = op.normalize_l2(total, _constant([1]), 1e-12, "max")
        return ov.Model([op.result(unit)], [ids, mask], "embeddings")

    def encoded(self, ids: Node, mask: Node) -> Node:
        """Return what the layers make of tokens: `[texts, tokens, dimensions]`."""
        x = self.embedded(ids)
        # [texts, 1, 1, tokens]: the same for every head and every token that looks.
        hidden = op.multiply(op.subtract(_constant(1.0), mask), _constant(_HIDDEN))
        hidden = op.unsqueeze(hidden, _constant([1, 2]))
        for index in range(self.shape.layers):
            x = self.layer(f"encoder.layer.{index}.", x, hidden)
        return x

    def embedded(self, ids: Node) -> Node:
        """Return the embeddings of tokens, with those of their places."""
        words = op.gather(self.weight("embeddings.word_embeddings.weight"), ids, _constant(0))
        # Every token is of the first kind: the second is for pairs of texts.
        places = (
            self.weights["embeddings.position_embeddings.weight"]
            + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        length = op.gather(op.shape_of(ids), _constant([1]), _constant(0))
        first = op.slice(
            op.constant(places), _constant([0]), length, _constant([1]), _constant([0])
        )
        return self.norm("embeddings.LayerNorm", op.add(words, first))

    def layer(self, name: str, x: Node, hidden: Node) -> Node:
        """Return what one layer makes of tokens."""
        mixed = self.dense(name + "attention.output.dense", self.attention(name, x, hidden))
        x = self.norm(name + "attention.output.LayerNorm", op.add(mixed, x))
        wide = op.gelu(self.dense(name + "intermediate.dense", x), "erf")
        return self.norm(
            name + "output.LayerNorm", op.add(self.dense(name + "output.dense", wide), x)
        )

    def attention(self, name: str, x: Node, hidden: Node) -> Node:
        """Return what the heads of a layer gather."""
        heads, size = self.shape.heads, self.shape.dimensions // self.shape.heads
        query, key, value = (
            _swapped(
                op.reshape(
                    self.dense(f"{name}attention.self.{part}", x),
                    _constant([0, 0, heads, size]),
                    special_zero=True,
                )
            )
            for part in ("query", "key", "value")
        )
        # Written out it is one node of the plugin's too, and one that needs no copy of the keys.
        product = op.matmul(query, key, transpose_a=False, transpose_b=True)
        scores = op.add(op.multiply(product, _constant(size**-0.5)), hidden)
        gathered = op.matmul(op.softmax(scores, -1), value, transpose_a=False, transpose_b=False)
        side_by_side = _constant([0, 0, self.shape.dimensions])
        return op.reshape(_swapped(gathered), side_by_side, special_zero=True)

    def dense(self, name: str, x: Node) -> Node:
        """Return the product with a weight, and its bias added."""
        product = op.matmul(x, self.weight(name + ".weight"), transpose_a=False, transpose_b=True)
        return op.add(product, self.weight(name + ".bias"))

    def norm(self, name: str, x: Node) -> Node:
        """Return the values brought to one mean and variance, scaled and moved."""
        unit = op.mvn(
            x,
            _constant([-1]),
            normalize_variance=True,
            eps=self.shape.epsilon,
            eps_mode="INSIDE_SQRT",
        )
        return op.add(op.multiply(unit, self.weight(name + ".weight")), self.weight(name + ".bias"))

    def weight(self, name: str) -> Node:
        """Return a weight as a constant."""
        return op.constant(self.weights[name])


def _swapped(x: Node) -> Node:
    """Swap the second and the third of four axes."""
    return op.transpose(x, _constant([0, 2, 1, 3]))


def _constant(value: float | list[int]) -> Node:
    """Return a float32 constant for a float, an int64 one otherwise."""
    return op.constant(np.array(value, np.float32 if isinstance(value, float) else np.int64))
