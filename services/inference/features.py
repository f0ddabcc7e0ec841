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
    CONTINUATION = "continuation"


Refusals = Mapping[Feature, str]
"""What a backend cannot do, and why, in words for the caller."""

_SAMPLING = (
    *(Feature.TOP_K, Feature.MIN_P, Feature.REPETITION_PENALTY),
    *(Feature.MIN_OUTPUT_TOKENS, Feature.SEED, Feature.LOGPROBS),
)
_FORCED = (message_pb2.ToolChoice.MODE_REQUIRED, message_pb2.ToolChoice.MODE_NAMED)


def may_call_tools(request: pb.GenerateRequest) -> bool:
    """Tell whether the model is given tools that it may call."""
    return bool(request.tools) and request.tool_choice.mode != message_pb2.ToolChoice.MODE_NONE


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
    if may_call_tools(request):
        yield Feature.TOOLS
        if request.tool_choice.mode in _FORCED:
            yield Feature.FORCED_TOOLS
    if request.continuation.text:
        yield Feature.CONTINUATION
    form = response_format.WhichOneof("format")
    if form is not None and (form != "json_object" or response_format.json_object):
        yield Feature(f"response_format.{form}")


def refuse(request: pb.GenerateRequest, refusals: Refusals) -> None:
    """Refuse the first thing asked for that a backend cannot do.

    Raises:
        MeshError: UNSUPPORTED, naming the field.
    """
    for feature in asked(request):
        if feature in refusals:
            field = feature.partition(" ")[0]
            raise errors.unsupported(field, request.model, refusals[feature])
