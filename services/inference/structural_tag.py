"""Strict tools that the model is free to call: how it must go on once it has begun a call.

The structural tag is XGrammar's, which the engines that know guides all take as it is: the text is
free up to a trigger, and what follows is one of the tags that begin with the trigger.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.inference import features, tools
from services.inference.formats import ToolFormat

_Format = Mapping[str, Any]
"""What XGrammar calls a format: a part of a structural tag."""

_ANY_ARGUMENTS = '{"type": "object"}'


def structural_tag(
    request: pb.GenerateRequest, tool_format: ToolFormat, echo: str = ""
) -> str | None:
    """Return what the calls in a free text are held to; None where there are no strict tools.

    A tool that is not strict may be called with any JSON object. `echo`: what the text has to begin
    with.

    Raises:
        MeshError: INVALID_REQUEST, for parameters that are not described by a JSON Schema, or that
            are strict where the engine cannot be held to them.
    """
    if not features.may_call_strictly(request):
        return None
    held = [
        tool if tool.strict else message_pb2.Tool(name=tool.name, parameters_schema=_ANY_ARGUMENTS)
        for tool in request.tools
    ]
    schemas = {tool.name: tools.held_parameters(tool, index) for index, tool in enumerate(held)}
    match tool_format:
        case ToolFormat.HERMES:
            calls = _hermes(schemas)
        case ToolFormat.LLAMA3:
            calls = _llama3(schemas)
        case ToolFormat.MISTRAL:
            several = features.may_call_several(request)
            calls = _mistral(schemas, tools.calls_schema(held, may_be_many=several))
        case ToolFormat.NONE:
            return None
    begun = {"type": "const_string", "value": echo}
    text = {"type": "sequence", "elements": [begun, calls]} if echo else calls
    return json.dumps({"type": "structural_tag", "format": text})


def _hermes(schemas: Mapping[str, tools.Schema]) -> _Format:
    opening = "<tool_call>"
    tags = [
        _tag(f'{opening}\n{{"name": "{name}", "arguments": ', schema, "}\n</tool_call>")
        for name, schema in schemas.items()
    ]
    return _triggered([opening], tags)


def _llama3(schemas: Mapping[str, tools.Schema]) -> _Format:
    # Nothing but the name of a tool tells a call from other JSON.
    triggers, tags = [], []
    for name, schema in schemas.items():
        for colon, comma in ((": ", ", "), (":", ",")):
            trigger = f'"name"{colon}"{name}"'
            triggers.append(trigger)
            tags.append(_tag(f'{trigger}{comma}"parameters"{colon}', schema, "}"))
    return _triggered(triggers, tags)


def _mistral(schemas: Mapping[str, tools.Schema], array: tools.Schema) -> _Format:
    # Older models write an array of calls, some after a space; newer ones one call after the other.
    opening = "[TOOL_CALLS]"
    arrays = [_tag(opening, array, ""), _tag(f"{opening} ", array, "")]
    calls = [_tag(f"{opening}{name}[ARGS]", schema, "") for name, schema in schemas.items()]
    return _triggered([opening], arrays + calls)


def _tag(begin: str, schema: tools.Schema, end: str) -> _Format:
    content = {"type": "json_schema", "json_schema": schema}
    return {"type": "tag", "begin": begin, "content": content, "end": end}


def _triggered(triggers: Sequence[str], tags: Sequence[_Format]) -> _Format:
    return {"type": "triggered_tags", "triggers": triggers, "tags": tags}
