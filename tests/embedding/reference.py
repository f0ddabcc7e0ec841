"""A BERT in plain numpy, written from its definition, to compare the graph with."""

import math
from typing import Any

import numpy as np

from infra.embedding.shape import Shape
from infra.embedding.weights import Weights

Array = np.ndarray[Any, np.dtype[np.float32]]

_erf = np.vectorize(math.erf, otypes=[np.float32])


def vector(weights: Weights, shape: Shape, ids: list[int]) -> Array:
    x = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    x = norm(weights, shape, "embeddings.LayerNorm", x)
    for index in range(shape.layers):
        name = f"encoder.layer.{index}."
        mixed = dense(weights, name + "attention.output.dense", attention(weights, shape, name, x))
        x = norm(weights, shape, name + "attention.output.LayerNorm", x + mixed)
        wide = dense(weights, name + "intermediate.dense", x)
        gelu = wide * (1 + _erf(wide / math.sqrt(2))) / 2
        narrow = dense(weights, name + "output.dense", gelu)
        x = norm(weights, shape, name + "output.LayerNorm", x + narrow)
    mean = x.mean(axis=0)
    unit: Array = mean / np.linalg.norm(mean)
    return unit


def attention(weights: Weights, shape: Shape, name: str, x: Array) -> Array:
    size = shape.dimensions // shape.heads
    name += "attention.self."
    q, k, v = (dense(weights, name + part, x) for part in ("query", "key", "value"))
    heads = []
    for head in range(shape.heads):
        part = slice(head * size, (head + 1) * size)
        scores = q[:, part] @ k[:, part].T / math.sqrt(size)
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        heads.append(share / share.sum(axis=1, keepdims=True) @ v[:, part])
    together: Array = np.concatenate(heads, axis=1)
    return together


def dense(weights: Weights, name: str, x: Array) -> Array:
    product: Array = x @ weights[name + ".weight"].T + weights[name + ".bias"]
    return product


def norm(weights: Weights, shape: Shape, name: str, x: Array) -> Array:
    centred = x - x.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + shape.epsilon)
    scaled: Array = centred / deviation * weights[name + ".weight"] + weights[name + ".bias"]
    return scaled
