"""The form that a completion must have, as each kind of server is told of it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from catenary.v1 import message_pb2
from services import errors

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
_NAME = "answer"


class Format(NamedTuple):
    """A form: a JSON Schema, a regular expression, or neither for any JSON object."""

    schema: Any = None
    regex: str = ""
    name: str = ""
    description: str = ""
    is_strict: bool = False


def read(response_format: message_pb2.ResponseFormat) -> Format | None:
    """Return the form that a request asks for; None when any text will do.

    Raises:
        MeshError: INVALID_REQUEST when a schema is not JSON.
    """
    match response_format.WhichOneof("format"):
        case "json_object" if response_format.json_object:
            return Format()
        case "json_schema":
            wanted = response_format.json_schema
            try:
                schema = json.loads(wanted.schema)
            except ValueError:
                field = "response_format.json_schema.schema"
                raise errors.invalid_field(field, "must be JSON") from None
            return Format(schema, "", wanted.name, wanted.description, wanted.strict)
        case "regex":
            return Format(regex=response_format.regex)
    return None


def openai(wanted: Format) -> Mapping[str, Any]:
    """Write it as OpenAI does, which knows no regular expressions."""
    if wanted.schema is None:
        return {"response_format": {"type": "json_object"}}
    schema: dict[str, Any] = {"name": wanted.name or _NAME, "schema": wanted.schema}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.is_strict:
        schema["strict"] = True
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def vllm(wanted: Format) -> Mapping[str, Any]:
    """Write it for vLLM 0.11 or newer, where `guided_regex` was."""
    if wanted.regex:
        return {"structured_outputs": {"regex": wanted.regex}}
    return openai(wanted)


def sglang(wanted: Format) -> Mapping[str, Any]:
    """Write it for SGLang."""
    if wanted.regex:
        return {"regex": wanted.regex}
    return openai(wanted)


def tgi(wanted: Format) -> Mapping[str, Any]:
    """Write it for TGI, whose every version knows this form."""
    if wanted.regex:
        return {"response_format": {"type": "regex", "value": wanted.regex}}
    schema = _ANY_OBJECT if wanted.schema is None else wanted.schema
    return {"response_format": {"type": "json", "value": schema}}


def openvino(wanted: Format) -> Mapping[str, Any]:
    """Write it for OpenVINO Model Server, which wants a schema."""
    if wanted.schema is None:
        wanted = wanted._replace(schema=_ANY_OBJECT)
    return openai(wanted)
