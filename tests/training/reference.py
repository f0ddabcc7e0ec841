"""A Llama in plain numpy, written from its definition, to compare the graph with."""

from typing import Any

import numpy as np

from training.pocket.shape import Shape
from training.pocket.weights import Weights

Array = np.ndarray[Any, np.dtype[np.float32]]


def logits(weights: Weights, shape: Shape, ids: list[int]) -> Array:
    x = weights["embed_tokens.weight"][ids]
    for index in range(shape.layers):
        layer = {
            name.removeprefix(f"layers.{index}."): value
            for name, value in weights.items()
            if name.startswith(f"layers.{index}.")
        }
        x = x + attention(layer, shape, norm(x, layer["input_layernorm.weight"], shape))
        h = norm(x, layer["post_attention_layernorm.weight"], shape)
        gate = h @ layer["mlp.gate_proj.weight"].T
        gated = gate / (1 + np.exp(-gate)) * (h @ layer["mlp.up_proj.weight"].T)
        x = x + gated @ layer["mlp.down_proj.weight"].T
    return norm(x, weights["norm.weight"], shape) @ weights["embed_tokens.weight"].T


def attention(layer: Weights, shape: Shape, x: Array) -> Array:
    queries = x @ layer["self_attn.q_proj.weight"].T
    keys = x @ layer["self_attn.k_proj.weight"].T
    values = x @ layer["self_attn.v_proj.weight"].T
    heads = []
    for head in range(shape.heads):
        shared = head * shape.kv_heads // shape.heads
        q = rotated(part(queries, head, shape), shape)
        k = rotated(part(keys, shared, shape), shape)
        scores = q @ k.T / np.sqrt(shape.head_size)
        scores[np.triu_indices(len(x), 1)] = -np.inf
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        heads.append(share / share.sum(axis=1, keepdims=True) @ part(values, shared, shape))
    mixed: Array = np.concatenate(heads, axis=1) @ layer["self_attn.o_proj.weight"].T
    return mixed


def part(x: Array, head: int, shape: Shape) -> Array:
    return x[:, head * shape.head_size : (head + 1) * shape.head_size]


def rotated(x: Array, shape: Shape) -> Array:
    half = shape.head_size // 2
    angles = np.arange(len(x))[:, None] / shape.rope_theta ** (np.arange(half) / half)
    a, b = x[:, :half], x[:, half:]
    turned: Array = np.concatenate(
        (a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)), axis=1
    )
    return turned


def norm(x: Array, weight: Array, shape: Shape) -> Array:
    scaled: Array = x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + shape.epsilon) * weight
    return scaled
