"""`POST /v1/embeddings`: OpenAI's body into the mesh's request, and the vectors back."""

import base64
import sys
from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import msgspec

from catenary.v1 import embeddings_pb2 as pb
from services import errors
from services.errors import MeshError
from services.gateway.openai.body import Strict, Whole


class CreateEmbedding(Strict):
    """The whole body."""

    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Whole | None = None
    user: str | None = None


def to_request(body: CreateEmbedding) -> pb.EmbedRequest:
    """Say in the mesh's contract what the body asks for; the contract's rules are not checked here.

    Raises:
        MeshError: INVALID_REQUEST, for tokens in place of text: they are another tokenizer's.
    """
    given = [body.input] if isinstance(body.input, str) else body.input
    texts = [text for text in given if isinstance(text, str)]
    if len(texts) < len(given):
        description = "must be a string or a list of strings: tokens are not taken"
        raise errors.invalid_field("input", description)
    return pb.EmbedRequest(model=body.model, texts=texts, dimensions=body.dimensions)


def encode(response: pb.EmbedResponse, body: CreateEmbedding) -> bytes:
    """Return the body of the answer; for many vectors this is work for a thread."""
    written = _base64 if body.encoding_format == "base64" else _floats
    tokens = response.usage.input_tokens
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": written(vector.values)}
                for index, vector in enumerate(response.embeddings)
            ],
            "model": response.served_model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def renamed(error: MeshError, body: CreateEmbedding) -> MeshError:
    """Return the error with the names that the body's fields have there."""
    if not error.violations or not error.violations[0].field.startswith("texts"):
        return error
    violations = tuple(
        replace(violation, field=_param(violation.field, body)) for violation in error.violations
    )
    first = violations[0]
    return replace(
        error,
        message=f"{first.field}: {first.description}",
        metadata={**error.metadata, "field": first.field},
        violations=violations,
    )


def _param(field: str, body: CreateEmbedding) -> str:
    if isinstance(body.input, str):
        field = field.replace("texts[0]", "texts", 1)
    return field.replace("texts", "input", 1)


def _floats(values: Sequence[float]) -> msgspec.Raw:
    # Each by itself: one call for all of them would hold up every other thread.
    return msgspec.Raw(msgspec.json.encode(list(values)))


def _base64(values: Sequence[float]) -> str:
    """Write float32 values, the least significant byte first."""
    packed = array("f", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed).decode()
