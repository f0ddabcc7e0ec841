"""The request in the words of the engine's contract."""

import json
from collections.abc import Mapping

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from infra.triton import contract
from infra.triton.contract import Value
from services import errors

_PLAIN = (
    *("temperature", "top_p", "top_k", "min_p"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("seed", "n", "min_output_tokens"),
)
_JSON_OBJECT = '{"type": "object"}'

_FIELDS = {
    contract.INPUT_IDS: "messages",
    "priority": "controls.priority",
    "json_schema": "response_format.json_schema.schema",
    "regex": "response_format.regex",
}


def field_of(name: str) -> str:
    """Return the request's field that an input of the engine was made of."""
    return _FIELDS.get(name, f"sampling.{name}" if name else "")


def inputs(
    request: pb.GenerateRequest, input_ids: list[int], context_window: int
) -> Mapping[str, Value]:
    """Write what the request sets, and nothing else.

    Raises:
        MeshError: CONTEXT_WINDOW_EXCEEDED, or UNSUPPORTED for what the engine cannot do.
    """
    _refuse_unsupported(request)
    sampling = request.sampling
    values: dict[str, Value] = {
        field.name: value for field, value in sampling.ListFields() if field.name in _PLAIN
    }
    values[contract.INPUT_IDS] = input_ids
    values[contract.MAX_OUTPUT_TOKENS] = _max_output_tokens(request, len(input_ids), context_window)
    if sampling.stop:
        values["stop"] = list(sampling.stop)
    if sampling.HasField("logprobs"):
        values["logprobs"] = 1
    if request.controls.HasField("priority"):
        values["priority"] = request.controls.priority
    return {**values, **_guide(request.response_format)}


def _max_output_tokens(request: pb.GenerateRequest, input_tokens: int, context_window: int) -> int:
    room = context_window - input_tokens
    sampling = request.sampling
    if not sampling.HasField("max_output_tokens"):
        if room < 1:
            raise errors.context_window_exceeded(input_tokens, 1, context_window)
        return room
    # The limit is the whole answer's, and a continued answer has used some of it.
    left = sampling.max_output_tokens - request.continuation.output_tokens
    if left < 1:
        raise errors.invalid_field(
            "continuation.output_tokens", "must be below sampling.max_output_tokens"
        )
    if left > room:
        raise errors.context_window_exceeded(input_tokens, left, context_window)
    return left


def _guide(response_format: message_pb2.ResponseFormat) -> Mapping[str, Value]:
    match response_format.WhichOneof("format"):
        case "json_object" if response_format.json_object:
            return {"json_schema": _JSON_OBJECT}
        case "json_schema":
            schema = response_format.json_schema.schema
            try:
                json.loads(schema)
            except ValueError:
                raise errors.invalid_field(field_of("json_schema"), "must be JSON") from None
            return {"json_schema": schema}
        case "regex":
            return {"regex": response_format.regex}
    return {}


def _refuse_unsupported(request: pb.GenerateRequest) -> None:
    sampling = request.sampling
    if sampling.logit_bias:
        field, description = "sampling.logit_bias", "the engine cannot bias single tokens"
    elif sampling.logprobs:
        field = "sampling.logprobs"
        description = "the engine tells no rivals of a token; 0 gives the token's own"
    elif request.tools and request.tool_choice.mode != message_pb2.ToolChoice.MODE_NONE:
        field, description = "tools", "the model cannot call tools"
    elif request.continuation.text and sampling.n > 1:
        field, description = "sampling.n", "only one choice can be continued"
    else:
        return
    raise errors.unsupported(field, request.model, description)
