"""Vectors in OpenAI's form."""

import base64
from typing import Any

import msgspec
import numpy as np

from catenary.v1 import embeddings_pb2 as pb
from services.inference.openai.failures import GarbageError

MAX_BYTES = 64 * 1024 * 1024
"""The largest answer: 2,048 vectors of 4,096 dimensions fit."""


class _Vector(msgspec.Struct, frozen=True):
    index: int
    embedding: str | list[float]


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Vector]
    usage: _Usage | None = None


def body(request: pb.EmbedRequest, model: str) -> dict[str, Any]:
    """Return the body that asks for vectors, as text of a third of the length of numbers."""
    wanted: dict[str, Any] = {
        "model": model,
        "input": list(request.texts),
        "encoding_format": "base64",
    }
    if request.HasField("dimensions"):
        wanted["dimensions"] = request.dimensions
    return wanted


def read(data: bytes, request: pb.EmbedRequest, served_model: str) -> pb.EmbedResponse:
    """Read the vectors, and give each the length 1, which not all servers do.

    Raises:
        GarbageError: the answer is not what the API says.
    """
    try:
        answer = msgspec.json.decode(data, type=_Answer)
        vectors = sorted(answer.data, key=lambda vector: vector.index)
        if [vector.index for vector in vectors] != list(range(len(request.texts))):
            raise GarbageError("embeddings")
        units = [_unit(vector.embedding) for vector in vectors]
        if len({len(unit) for unit in units}) > 1:
            raise GarbageError("embeddings")
        response = pb.EmbedResponse(
            embeddings=[pb.Embedding(values=unit) for unit in units], served_model=served_model
        )
        if answer.usage is not None:
            response.usage.input_tokens = answer.usage.prompt_tokens
    except ValueError:
        raise GarbageError("embeddings") from None
    return response


def _unit(given: str | list[float]) -> list[float]:
    if isinstance(given, str):
        values = np.frombuffer(base64.b64decode(given, validate=True), "<f4")
    else:
        # Some servers know numbers only, and do not mind being asked for text.
        values = np.asarray(given, np.float32)
    length = float(np.linalg.norm(values))
    if not values.size or not np.isfinite(length) or not length:
        raise GarbageError("embeddings")
    unit: list[float] = (values / length).tolist()
    return unit
