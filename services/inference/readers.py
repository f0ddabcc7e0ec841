"""Which reader takes a completion apart."""

from functools import partial

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.inference.choice import Read
from services.inference.features import may_call_tools
from services.inference.formats import TOOL_READINGS, Formats, ReasoningFormat
from services.inference.healing import echo
from services.inference.parsing.reasoning import rest_of_thought, think
from services.inference.parsing.source import Kind, Reading, Source
from services.inference.parsing.tool_formats import named, required
from services.inference.prompt import Prompt


def reader(
    request: pb.GenerateRequest, prompt: Prompt, formats: Formats, *, is_held: bool
) -> Read | None:
    """Return what reads the completion; None where all of it is said as it comes."""
    tools = frozenset(tool.name for tool in request.tools)
    match request.tool_choice.mode:
        case message_pb2.ToolChoice.MODE_NAMED:
            return partial(named, tool=request.tool_choice.name)
        case message_pb2.ToolChoice.MODE_REQUIRED:
            return partial(required, tools=tools)
    goes_on_thinking = prompt.is_thinking and bool(request.continuation.reasoning)
    may_think = formats.reasoning == ReasoningFormat.THINK and not (
        is_held or request.continuation.text or goes_on_thinking
    )
    may_call = may_call_tools(request)
    if not (may_think or may_call or goes_on_thinking or prompt.echo):
        return None

    def read(source: Source) -> Reading[None]:
        if prompt.echo:
            kind = Kind.REASONING if goes_on_thinking else Kind.TEXT
            yield from echo(source, prompt.echo, kind)
        if goes_on_thinking:
            yield from rest_of_thought(source)
        if may_think:
            yield from think(source, is_open=prompt.is_thinking)
        if may_call:
            yield from TOOL_READINGS[formats.tools](source, tools)
        yield from source.rest(Kind.TEXT)

    return read
