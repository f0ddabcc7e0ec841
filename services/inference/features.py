"""What a request asks for beyond plain text, so that a backend can refuse by name what it lacks."""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services import errors


class Feature(StrEnum):
    """Something that not every backend can do; its value is the field that asks for it."""

    TOP_K = "sampling.top_k"
    MIN_P = "sampling.min_p"
    PRESENCE_PENALTY = "sampling.presence_penalty"
    FREQUENCY_PENALTY = "sampling.frequency_penalty"
    REPETITION_PENALTY = "sampling.repetition_penalty"
    MIN_OUTPUT_TOKENS = "sampling.min_output_tokens"
    LOGIT_BIAS = "sampling.logit_bias"
    CHOICES = "sampling.n"
    SEED = "sampling.seed"
    LOGPROBS = "sampling.logprobs"
    TOP_LOGPROBS = "sampling.logprobs above 0"
    JSON_OBJECT = "response_format.json_object"
    JSON_SCHEMA = "response_format.json_schema"
    REGEX = "response_format.regex"
    TOOLS = "tools"
    FORCED_TOOLS = "tool_choice"
    SINGLE_TOOL_CALL = "parallel_tool_calls"
    STRICT_TOOLS = "tools[].strict"
    CONTINUATION = "continuation"


Refusals = Mapping[Feature, str]
"""What a backend cannot do, and why, in words for the caller."""

_SAMPLING = (
    *(Feature.TOP_K, Feature.MIN_P, Feature.PRESENCE_PENALTY, Feature.FREQUENCY_PENALTY),
    Feature.REPETITION_PENALTY,
    *(Feature.MIN_OUTPUT_TOKENS, Feature.SEED, Feature.LOGPROBS),
)
_FORCED = (message_pb2.ToolChoice.MODE_REQUIRED, message_pb2.ToolChoice.MODE_NAMED)


def may_call_tools(request: pb.GenerateRequest) -> bool:
    """Tell whether the model is given tools that it may call."""
    return bool(request.tools) and request.tool_choice.mode != message_pb2.ToolChoice.MODE_NONE


def may_call_several(request: pb.GenerateRequest) -> bool:
    """Tell whether the model may call more than one tool in a turn."""
    return request.parallel_tool_calls or not request.HasField("parallel_tool_calls")


def must_call_tools(request: pb.GenerateRequest) -> bool:
    """Tell whether the model has to call a tool."""
    return request.tool_choice.mode in _FORCED


def may_call_strictly(request: pb.GenerateRequest) -> bool:
    """Tell whether the model is free to call tools, but some only as their schema says."""
    is_free = may_call_tools(request) and not must_call_tools(request)
    return is_free and any(tool.strict for tool in request.tools)


def is_continued(request: pb.GenerateRequest) -> bool:
    """Tell whether there is a part of the completion already."""
    return bool(request.continuation.text or request.continuation.reasoning)


def asked(request: pb.GenerateRequest) -> Iterator[Feature]:
    """Give the features that a request asks for."""
    sampling, response_format = request.sampling, request.response_format
    for feature in _SAMPLING:
        if sampling.HasField(feature.removeprefix("sampling.")):  # type: ignore[arg-type]
            yield feature
    if sampling.logit_bias:
        yield Feature.LOGIT_BIAS
    if sampling.n > 1:
        yield Feature.CHOICES
    if sampling.logprobs:
        yield Feature.TOP_LOGPROBS
    yield from _of_tools(request)
    if is_continued(request):
        yield Feature.CONTINUATION
    form = response_format.WhichOneof("format")
    if form is not None and (form != "json_object" or response_format.json_object):
        yield Feature(f"response_format.{form}")


def _of_tools(request: pb.GenerateRequest) -> Iterator[Feature]:
    if may_call_tools(request):
        yield Feature.TOOLS
        if must_call_tools(request):
            yield Feature.FORCED_TOOLS
        if not may_call_several(request):
            yield Feature.SINGLE_TOOL_CALL
        if may_call_strictly(request):
            yield Feature.STRICT_TOOLS


def refuse(request: pb.GenerateRequest, refusals: Refusals) -> None:
    """Refuse the first thing asked for that a backend cannot do.

    Raises:
        MeshError: UNSUPPORTED, naming the field.
    """
    for feature in asked(request):
        if feature in refusals:
            field = feature.partition(" ")[0]
            raise errors.unsupported(field, request.model, refusals[feature])
