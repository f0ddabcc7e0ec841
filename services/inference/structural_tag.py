"""Strict tools that the model is free to call: how it must go on once it has begun a call.

The structural tag is XGrammar's, which the engines that know guides all take as it is: the text is
free up to a trigger, and what follows is one of the tags that begin with the trigger.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.inference import features, tools
from services.inference.formats import ToolFormat

_Format = Mapping[str, Any]
"""A form that XGrammar knows, as JSON."""

_ANY_ARGUMENTS = '{"type": "object"}'


def structural_tag(
    request: pb.GenerateRequest, tool_format: ToolFormat, echo: str = ""
) -> str | None:
    """Return what the calls in a free text are held to, if there are strict tools.

    A tool that is not strict may be called with any JSON object. `echo`: what the text has to begin
    with.

    Raises:
        MeshError: INVALID_REQUEST, for parameters that are not described by a JSON Schema.
    """
    if not features.may_call_strictly(request):
        return None
    held = [
        tool if tool.strict else message_pb2.Tool(name=tool.name, parameters_schema=_ANY_ARGUMENTS)
        for tool in request.tools
    ]
    calls = _CALLS[tool_format](held, features.may_call_several(request))
    begun = {"type": "const_string", "value": echo}
    text = {"type": "sequence", "elements": [begun, calls]} if echo else calls
    return json.dumps({"type": "structural_tag", "format": text})


def _hermes(held: Sequence[message_pb2.Tool], _may_be_many: bool) -> _Format:  # noqa: FBT001
    opening = "<tool_call>"
    tags = [
        _tag(f'{opening}\n{{"name": "{tool.name}", "arguments": ', schema, "}\n</tool_call>")
        for tool, schema in _schemas(held)
    ]
    return _triggered([opening], tags)


def _llama3(held: Sequence[message_pb2.Tool], _may_be_many: bool) -> _Format:  # noqa: FBT001
    # Nothing but the name tells a call from other JSON.
    triggers, tags = [], []
    for tool, schema in _schemas(held):
        for colon, comma in ((": ", ", "), (":", ",")):
            trigger = f'"name"{colon}"{tool.name}"'
            triggers.append(trigger)
            tags.append(_tag(f'{trigger}{comma}"parameters"{colon}', schema, "}"))
    return _triggered(triggers, tags)


def _mistral(held: Sequence[message_pb2.Tool], may_be_many: bool) -> _Format:  # noqa: FBT001
    opening = "[TOOL_CALLS]"
    calls = tools.calls_schema(held, may_be_many=may_be_many)
    arrays = [_tag(opening, calls, ""), _tag(f"{opening} ", calls, "")]
    return _triggered(
        [opening],
        arrays + [_tag(f"{opening}{tool.name}[ARGS]", schema, "") for tool, schema in _schemas(held)],
    )


_CALLS: Mapping[ToolFormat, Callable[[Sequence[message_pb2.Tool], bool], _Format]] = {
    ToolFormat.HERMES: _hermes,
    ToolFormat.LLAMA3: _llama3,
    ToolFormat.MISTRAL: _mistral,
}
"""How calls are held to their schemas; several may have to stand in one array."""


def _schemas(
    held: Sequence[message_pb2.Tool],
) -> Sequence[tuple[message_pb2.Tool, tools.Schema]]:
    return [(tool, tools.parameters(tool, index)) for index, tool in enumerate(held)]


def _tag(begin: str, schema: tools.Schema, end: str) -> _Format:
    content = {"type": "json_schema", "json_schema": schema}
    return {"type": "tag", "begin": begin, "content": content, "end": end}


def _triggered(triggers: Sequence[str], tags: Sequence[_Format]) -> _Format:
    return {"type": "triggered_tags", "triggers": triggers, "tags": tags}
