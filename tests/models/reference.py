"""The architectures in plain numpy, written from their definitions, to compare graphs with."""

from collections.abc import Mapping

import numpy as np

from infra.models.architecture import Architecture
from infra.models.tensors import Array

Arrays = Mapping[str, Array]


def logits(weights: Arrays, shape: Architecture, ids: list[int]) -> Array:
    x = weights["embed_tokens.weight"][ids]
    for index in range(shape.layers):
        layer = {
            name.removeprefix(f"layers.{index}."): value
            for name, value in weights.items()
            if name.startswith(f"layers.{index}.")
        }
        x = x + attention(layer, shape, norm(x, layer["input_layernorm.weight"], shape))
        h = norm(x, layer["post_attention_layernorm.weight"], shape)
        gate = linear(layer, "mlp.gate_proj", h)
        gated = gate / (1 + np.exp(-gate)) * linear(layer, "mlp.up_proj", h)
        x = x + linear(layer, "mlp.down_proj", gated)
    output = weights["embed_tokens.weight" if shape.tied else "lm_head.weight"]
    return norm(x, weights["norm.weight"], shape) @ output.T


def attention(layer: Arrays, shape: Architecture, x: Array) -> Array:
    queries, keys, values = (linear(layer, f"self_attn.{each}_proj", x) for each in "qkv")
    heads = []
    for head in range(shape.heads):
        shared = head * shape.kv_heads // shape.heads
        q = rotated(normed(layer, "q_norm", part(queries, head, shape), shape), shape)
        k = rotated(normed(layer, "k_norm", part(keys, shared, shape), shape), shape)
        scores = q @ k.T / np.sqrt(shape.head_size)
        scores[np.triu_indices(len(x), 1)] = -np.inf
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        heads.append(share / share.sum(axis=1, keepdims=True) @ part(values, shared, shape))
    return linear(layer, "self_attn.o_proj", np.concatenate(heads, axis=1))


def linear(layer: Arrays, name: str, x: Array) -> Array:
    product: Array = x @ layer[f"{name}.weight"].T + layer.get(f"{name}.bias", np.float32(0))
    return product


def normed(layer: Arrays, name: str, x: Array, shape: Architecture) -> Array:
    weight = layer.get(f"self_attn.{name}.weight")
    return x if weight is None else norm(x, weight, shape)


def part(x: Array, head: int, shape: Architecture) -> Array:
    return x[:, head * shape.head_size : (head + 1) * shape.head_size]


def rotated(x: Array, shape: Architecture) -> Array:
    half = shape.head_size // 2
    angles = np.arange(len(x))[:, None] * shape.frequencies
    a, b = x[:, :half], x[:, half:]
    turned: Array = np.concatenate(
        (a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)), axis=1
    )
    return turned


def norm(x: Array, weight: Array, shape: Architecture) -> Array:
    scaled: Array = x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + shape.epsilon) * weight
    return scaled
