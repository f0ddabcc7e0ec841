"""Builds the OpenVINO graph of a model from its weights, stored as int8.

How the key and value caches are written (ReadValue, Gather, Concat, Assign) and how attention is
spelt is what OpenVINO recognises and replaces by paged attention and by fused rotary kernels.
"""

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset13 as op
from openvino.op import assign, read_value
from openvino.op.util import Variable, VariableInfo

from infra.models.architecture import Architecture
from infra.models.int8 import quantize
from infra.models.report import Report, silent
from infra.models.tensors import Array, Weights, whole


def build(weights: Weights, shape: Architecture, report: Report = silent) -> ov.Model:
    """Return a stateful model: ids, mask, positions and beam indices in, logits out.

    Raises:
        ModelError: a weight is not finite.
    """
    ids = parameter("input_ids", [-1, -1], np.int64)
    mask = parameter("attention_mask", [-1, -1], np.int64)
    positions = parameter("position_ids", [-1, -1], np.int64)
    beam = parameter("beam_idx", [-1], np.int32)
    stack = Stack(weights, shape, batch=size(ids, 0), beam=beam)
    embedding = stack.int8("embed_tokens.weight")
    x = op.gather(embedding, ids, constant(0))
    rotation = rotations(positions, shape.frequencies)
    visible = causal(ids, mask)
    for index in range(shape.layers):
        report("converting", index, shape.layers)
        x = stack.layer(f"layers.{index}.", x, rotation, visible)
    output = embedding if shape.tied else stack.int8("lm_head.weight")
    logits = product(stack.norm("norm.weight", x), output, transposed=True)
    logits.output(0).set_names({"logits"})
    report("converting", shape.layers, shape.layers)
    return ov.Model([op.result(logits)], stack.sinks, [ids, mask, positions, beam], "model")


class Stack:
    """Builds layers over `weights`, and gathers the assignments of their caches in `sinks`."""

    def __init__(self, weights: Weights, shape: Architecture, batch: Node, beam: Node) -> None:
        """Remember the weights; `batch` is the number of sequences, `beam` reorders caches."""
        self.weights = weights
        self.shape = shape
        self.batch = batch
        self.beam = beam
        self.sinks: list[Node] = []

    def layer(self, name: str, x: Node, rotation: tuple[Node, Node], visible: Node) -> Node:
        """Return one transformer layer's output."""
        normed = self.norm(name + "input_layernorm.weight", x)
        x = op.add(x, self.attention(name + "self_attn.", normed, rotation, visible))
        normed = self.norm(name + "post_attention_layernorm.weight", x)
        bias = self.shape.mlp_bias
        gate = op.swish(self.project(name + "mlp.gate_proj", normed, bias=bias))
        gated = op.multiply(gate, self.project(name + "mlp.up_proj", normed, bias=bias))
        return op.add(x, self.project(name + "mlp.down_proj", gated, bias=bias))

    def attention(self, name: str, x: Node, rotation: tuple[Node, Node], visible: Node) -> Node:
        """Return grouped-query attention over the cached and the new positions."""
        heads, kv, bias = self.shape.heads, self.shape.kv_heads, self.shape.qkv_bias
        q = self.split(self.project(name + "q_proj", x, bias=bias), heads)
        k = self.split(self.project(name + "k_proj", x, bias=bias), kv)
        v = self.split(self.project(name + "v_proj", x, bias=bias), kv)
        if self.shape.qk_norm:
            q, k = self.norm(name + "q_norm.weight", q), self.norm(name + "k_norm.weight", k)
        half = self.shape.head_size // 2
        keys = self.repeat(self.cached(name + "key", rotate(k, rotation, half)))
        values = self.repeat(self.cached(name + "value", v))
        turned = rotate(q, rotation, half)
        mixed = op.scaled_dot_product_attention(turned, keys, values, visible)
        joined = reshape(transpose(mixed), [0, 0, heads * self.shape.head_size])
        return self.project(name + "o_proj", joined, bias=self.shape.output_bias)

    def cached(self, name: str, new: Node) -> Node:
        """Return the cache with `new` appended, and store that for the next call."""
        info = VariableInfo()
        info.data_shape = ov.PartialShape([-1, self.shape.kv_heads, -1, self.shape.head_size])
        info.data_type = ov.Type.f32
        info.variable_id = name
        variable = Variable(info)
        dims = [constant([self.shape.kv_heads, 0, self.shape.head_size])]
        empty = op.broadcast(constant(0.0), op.concat([self.batch, *dims], 0))
        past = op.gather(read_value(empty, variable), self.beam, constant(0))
        together = op.concat([past, new], 2)
        self.sinks.append(assign(together, variable))
        return together

    def repeat(self, x: Node) -> Node:
        """Repeat each key or value head for the query heads that share it."""
        group = self.shape.heads // self.shape.kv_heads
        wide = op.broadcast(
            op.unsqueeze(x, constant(2)),
            constant([1, 1, group, 1, 1]),
            broadcast_spec="BIDIRECTIONAL",
        )
        return reshape(wide, [0, self.shape.heads, -1, self.shape.head_size])

    def split(self, x: Node, heads: int) -> Node:
        """Split the last axis into heads: `[batch, heads, length, head_size]`."""
        return transpose(reshape(x, [0, 0, heads, self.shape.head_size]))

    def project(self, name: str, x: Node, *, bias: bool) -> Node:
        """Multiply by a weight of shape `[out, in]`, and add its bias if it has one."""
        y = product(x, self.int8(name + ".weight"), transposed=True)
        return op.add(y, op.constant(whole(self.weights[name + ".bias"]))) if bias else y

    def int8(self, name: str) -> Node:
        """Return a weight, rounded to int8 with one float16 scale for each of its rows."""
        matrix = quantize(name, self.weights[name])
        # Shared memory: the graph would else copy what it is made from.
        stored = op.constant(matrix.stored, shared_memory=True)
        scaled = op.multiply(op.convert(stored, np.float16), op.constant(matrix.scales))
        return op.convert(scaled, np.float32)

    def norm(self, name: str, x: Node) -> Node:
        """Return root-mean-square normalisation of the last axis."""
        mean = op.reduce_mean(op.power(x, constant(2.0)), constant([-1]), keep_dims=True)
        inverse = op.divide(constant(1.0), op.sqrt(op.add(mean, constant(self.shape.epsilon))))
        return op.multiply(op.multiply(x, inverse), op.constant(whole(self.weights[name])))


def rotations(positions: Node, frequencies: Array) -> tuple[Node, Node]:
    """Return cos and sin, `[batch, 1, length, head_size]`, of rotary positions."""
    column = op.convert(op.unsqueeze(positions, constant(1)), np.float32)
    row = op.constant(frequencies.reshape(1, -1, 1))
    angles = transpose(product(row, column), [0, 2, 1])
    both = op.concat([angles, angles], -1)
    return op.unsqueeze(op.cos(both), constant(1)), op.unsqueeze(op.sin(both), constant(1))


def rotate(x: Node, rotation: tuple[Node, Node], half: int) -> Node:
    """Rotate pairs (i, i + half), Hugging Face's order."""
    cos, sin = rotation
    first = op.slice(x, constant([0]), constant([half]), constant([1]), constant([3]))
    second = op.slice(x, constant([half]), constant([2 * half]), constant([1]), constant([3]))
    turned = op.concat([op.multiply(second, constant(-1.0)), first], -1)
    return op.add(op.multiply(x, cos), op.multiply(turned, sin))


def causal(ids: Node, mask: Node) -> Node:
    """Return which of all positions each new one may see: `[batch, 1, new, all]`, boolean."""
    new, total = (op.squeeze(size(each, 1), constant(0)) for each in (ids, mask))
    columns = op.range(constant(0), total, constant(1), output_type="i64")
    rows = op.range(op.subtract(total, new), total, constant(1), output_type="i64")
    earlier = op.less_equal(op.unsqueeze(columns, constant(0)), op.unsqueeze(rows, constant(1)))
    present = op.unsqueeze(op.not_equal(mask, constant(0)), constant([1, 2]))
    return op.logical_and(op.unsqueeze(earlier, constant([0, 1])), present)


def parameter(name: str, dims: list[int], dtype: type[np.generic]) -> Node:
    """Return a named input of the model."""
    node = op.parameter(dims, dtype)
    node.set_friendly_name(name)
    node.output(0).set_names({name})
    return node


def constant(value: float | list[int]) -> Node:
    """Return a float32 constant for a float, an int64 one otherwise."""
    return op.constant(np.array(value, np.float32 if isinstance(value, float) else np.int64))


def size(x: Node, axis: int) -> Node:
    """Return the length of one axis, as a vector of one."""
    return op.gather(op.shape_of(x), constant([axis]), constant(0))


def transpose(x: Node, order: list[int] | None = None) -> Node:
    """Reorder the axes; unless told otherwise swap the second and the third of four."""
    return op.transpose(x, constant(order or [0, 2, 1, 3]))


def reshape(x: Node, dims: list[int]) -> Node:
    """Change the shape; 0 keeps an axis, -1 takes what is left."""
    return op.reshape(x, constant(dims), special_zero=True)


def product(x: Node, y: Node, *, transposed: bool = False) -> Node:
    """Multiply matrices, the second transposed if so told."""
    return op.matmul(x, y, transpose_a=False, transpose_b=transposed)
