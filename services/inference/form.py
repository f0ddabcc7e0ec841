"""The form that a completion is held to: JSON, an expression, or the calls of tools."""

import json
from typing import NamedTuple

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services import errors
from services.inference import features, tools
from services.inference.schema import expressions
from services.inference.schema.hold import hold

_JSON_OBJECT = '{"type": "object"}'
_SCHEMA_FIELD = "response_format.json_schema.schema"
_REGEX_FIELD = "response_format.regex"


class Form(NamedTuple):
    """What the engine holds the completion to."""

    json_schema: str | None
    regex: str | None
    field: str
    """The field of the request that asks for it."""


def form(request: pb.GenerateRequest) -> Form | None:
    """Return the form that a request asks for, if it does.

    Raises:
        MeshError: INVALID_REQUEST, for a schema that is none, or strict where the engine cannot be
            held to it, for an expression of which the engine would pass something over, or for
            two forms at once.
    """
    asked = _of_response(request.response_format)
    called = _of_tool_choice(request)
    if asked is not None and called is not None:
        raise errors.invalid_field(
            asked.field, "must not stand beside a tool_choice that demands a call"
        )
    return asked or called


def _of_response(response_format: message_pb2.ResponseFormat) -> Form | None:
    match response_format.WhichOneof("format"):
        case "json_object" if response_format.json_object:
            return Form(_JSON_OBJECT, None, "response_format.json_object")
        case "json_schema":
            wanted = response_format.json_schema
            try:
                schema = json.loads(wanted.schema)
            except (ValueError, RecursionError):
                raise errors.invalid_field(_SCHEMA_FIELD, "must be JSON") from None
            held = hold(schema, _SCHEMA_FIELD, is_strict=wanted.strict)
            return Form(json.dumps(held), None, _SCHEMA_FIELD)
        case "regex":
            expressions.check(response_format.regex, _REGEX_FIELD)
            return Form(None, response_format.regex, _REGEX_FIELD)
    return None


def _of_tool_choice(request: pb.GenerateRequest) -> Form | None:
    choice = request.tool_choice
    match choice.mode:
        case message_pb2.ToolChoice.MODE_NAMED:
            names = [tool.name for tool in request.tools]
            if choice.name not in names:
                raise errors.invalid_field("tool_choice.name", "must be the name of one of tools")
            index = names.index(choice.name)
            schema = tools.held_parameters(request.tools[index], index)
            return Form(json.dumps(schema), None, tools.parameters_field(index))
        case message_pb2.ToolChoice.MODE_REQUIRED:
            if not request.tools:
                raise errors.invalid_field(
                    "tool_choice.mode", "requires a tool, but tools is empty"
                )
            several = features.may_call_several(request)
            schema = tools.calls_schema(request.tools, may_be_many=several)
            return Form(json.dumps(schema), None, "tools")
    return None
