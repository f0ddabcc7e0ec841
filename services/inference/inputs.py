"""The request in the words of the engines."""

import json

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from infra.engine.engine import Generation
from services import errors

_PLAIN = (
    *("temperature", "top_p", "top_k", "min_p"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("seed", "n", "min_output_tokens"),
)
_JSON_OBJECT = '{"type": "object"}'

_FIELDS = {
    "input_ids": "messages",
    "priority": "controls.priority",
    "json_schema": "response_format.json_schema.schema",
    "regex": "response_format.regex",
}


def field_of(name: str) -> str:
    """Return the request's field that an input of the engine was made of."""
    return _FIELDS.get(name, f"sampling.{name}" if name else "")


def generation(
    request: pb.GenerateRequest, input_ids: list[int], context_window: int
) -> Generation:
    """Write what the request sets, and nothing else.

    Raises:
        MeshError: CONTEXT_WINDOW_EXCEEDED, or INVALID_REQUEST.
    """
    sampling = request.sampling
    if request.continuation.text and sampling.n > 1:
        raise errors.unsupported("sampling.n", request.model, "only one choice can be continued")
    plain = {field.name: value for field, value in sampling.ListFields() if field.name in _PLAIN}
    if request.controls.HasField("priority"):
        plain["priority"] = request.controls.priority
    json_schema, regex = _guide(request.response_format)
    return Generation(
        input_ids=input_ids,
        max_output_tokens=_max_output_tokens(request, len(input_ids), context_window),
        stop=list(sampling.stop),
        logprobs=1 if sampling.HasField("logprobs") else 0,
        **plain,
        json_schema=json_schema,
        regex=regex,
    )


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


def _guide(response_format: message_pb2.ResponseFormat) -> tuple[str | None, str | None]:
    """Return the JSON Schema and the regular expression that the completion must follow."""
    match response_format.WhichOneof("format"):
        case "json_object" if response_format.json_object:
            return _JSON_OBJECT, None
        case "json_schema":
            schema = response_format.json_schema.schema
            try:
                json.loads(schema)
            except ValueError:
                raise errors.invalid_field(field_of("json_schema"), "must be JSON") from None
            return schema, None
        case "regex":
            return None, response_format.regex
    return None, None
