"""What a model can do with its template, its forms and its engine; the rest is refused by name."""

from collections.abc import Iterator
from itertools import chain

from catenary.v1 import generation_pb2 as pb
from services import errors
from services.inference.features import (
    Feature,
    Refusals,
    is_continued,
    may_call_tools,
    must_call_tools,
)
from services.inference.form import Form
from services.inference.formats import Formats, ReasoningFormat, ToolFormat


def refuse(
    request: pb.GenerateRequest, form: Form | None, formats: Formats, refusals: Refusals
) -> None:
    """Refuse what the model cannot do, or not together; the engine's own refusals come first.

    Raises:
        MeshError: UNSUPPORTED, naming the field.
    """
    problems = chain(
        _of_forced_calls(request, refusals),
        _of_free_calls(request, form, formats),
        _of_continuation(request, form, formats),
    )
    for field, problem in problems:
        raise errors.unsupported(field, request.model, problem)


def capabilities(formats: Formats, refusals: Refusals) -> list[str]:
    """Return what a model can do, in words for its card."""
    can = {
        "chat": True,
        "tools": formats.tools != ToolFormat.NONE and Feature.TOOLS not in refusals,
        "tool_choice": not {Feature.JSON_SCHEMA, Feature.FORCED_TOOLS} & refusals.keys(),
        "reasoning": formats.reasoning != ReasoningFormat.NONE,
        "json_schema": Feature.JSON_SCHEMA not in refusals,
        "regex": Feature.REGEX not in refusals,
        "logprobs": Feature.LOGPROBS not in refusals,
    }
    return [name for name, has in can.items() if has]


_Problems = Iterator[tuple[str, str]]
"""Fields, and what is wrong with each."""


def _of_forced_calls(request: pb.GenerateRequest, refusals: Refusals) -> _Problems:
    if must_call_tools(request) and Feature.JSON_SCHEMA in refusals:
        yield Feature.FORCED_TOOLS, refusals[Feature.JSON_SCHEMA]


def _of_free_calls(request: pb.GenerateRequest, form: Form | None, formats: Formats) -> _Problems:
    if must_call_tools(request) or not may_call_tools(request):
        return
    if formats.tools == ToolFormat.NONE:
        yield Feature.TOOLS, "the model can call a tool only where tool_choice demands it"
    if form is not None:
        yield form.field, "a model that may call tools cannot be held to a form"


def _of_continuation(request: pb.GenerateRequest, form: Form | None, formats: Formats) -> _Problems:
    if not is_continued(request):
        return
    if form is not None:
        yield Feature.CONTINUATION, "a completion that is held to a form cannot be continued"
    if request.sampling.n > 1:
        yield Feature.CHOICES, "only one choice can be continued"
    if request.continuation.reasoning and formats.reasoning == ReasoningFormat.NONE:
        yield "continuation.reasoning", "the model does not show its thoughts"
