"""The tools that a model may call: for its template, and as a schema that its calls must follow."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from catenary.v1 import message_pb2 as pb
from services import errors
from services.inference.schema.hold import hold

Schema = Mapping[str, Any]
"""A JSON Schema."""

_NO_ARGUMENTS: Schema = {"type": "object", "properties": {}, "additionalProperties": False}


def for_template(
    tools: Sequence[pb.Tool], protect: Callable[[str], str]
) -> list[Mapping[str, Any]]:
    """Return the tools in Hugging Face's form; every text of a caller's passes through `protect`.

    Raises:
        MeshError: INVALID_REQUEST, for parameters that are not described by a JSON Schema.
    """
    return [
        {
            "type": "function",
            "function": {
                "name": protect(tool.name),
                "description": protect(tool.description),
                "parameters": _changed(
                    parameters(tool, index), index, lambda schema: _each_text(schema, protect)
                ),
            },
        }
        for index, tool in enumerate(tools)
    ]


def parameters(tool: pb.Tool, index: int) -> Schema:
    """Return the schema of a tool's arguments; `index` is its place among the request's.

    Raises:
        MeshError: INVALID_REQUEST, if it is none.
    """
    if not tool.parameters_schema:
        return _NO_ARGUMENTS
    try:
        schema = json.loads(tool.parameters_schema)
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        problem = "must be a JSON Schema whose type is object"
        raise errors.invalid_field(parameters_field(index), problem)
    return schema


def held_parameters(tool: pb.Tool, index: int) -> Schema:
    """Return the schema that the engine holds a tool's arguments to.

    Raises:
        MeshError: INVALID_REQUEST, if there is none, or the tool is strict and the engine cannot
            be held to all of it.
    """
    schema = dict(parameters(tool, index))
    held: Schema = hold(schema, parameters_field(index), is_strict=tool.strict)
    return held


def parameters_field(index: int) -> str:
    """Return where in a request the arguments of a tool are described."""
    return f"tools[{index}].parameters_schema"


def calls_schema(tools: Sequence[pb.Tool], *, may_be_many: bool) -> Schema:
    """Return the schema of an array of calls.

    Raises:
        MeshError: INVALID_REQUEST, for parameters that are not described by a JSON Schema, or that
            are strict where the engine cannot be held to them.
    """
    calls = {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [_call_schema(tool.name) for tool in tools]},
        # Each keeps its place in a document of its own, and so do the references inside it.
        "$defs": {
            tool.name: _changed(
                held_parameters(tool, index), index, partial(_moved, root=f"#/$defs/{tool.name}")
            )
            for index, tool in enumerate(tools)
        },
    }
    return calls if may_be_many else {**calls, "maxItems": 1}


def _changed(schema: Schema, index: int, change: Callable[[Schema], Any]) -> Any:
    """Return the schema of a tool's arguments, changed all through."""
    try:
        return change(schema)
    except RecursionError:
        raise errors.invalid_field(parameters_field(index), "is nested too deeply") from None


def _call_schema(name: str) -> Schema:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": {"$ref": f"#/$defs/{name}"}},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _moved(schema: Any, root: str) -> Any:
    """Return a schema whose references find their way from a place below another's root."""
    if isinstance(schema, list):
        return [_moved(each, root) for each in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved(value, root) for key, value in schema.items()}
    reference = moved.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        moved["$ref"] = root + reference.removeprefix("#")
    return moved


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case list():
            return [_each_text(each, change) for each in value]
        case dict():
            return {change(key): _each_text(each, change) for key, each in value.items()}
    return value
