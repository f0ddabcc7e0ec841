"""The request in the words of the engines."""

from catenary.v1 import generation_pb2 as pb
from infra.engine.engine import Generation
from services import errors
from services.inference import healing
from services.inference.form import Form
from services.inference.prompt import Prompt

_PLAIN = (
    *("temperature", "top_p", "top_k", "min_p"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("seed", "n", "min_output_tokens"),
)

_FIELDS = {
    "input_ids": "messages",
    "priority": "controls.priority",
    "json_schema": "response_format.json_schema.schema",
    "regex": "response_format.regex",
    "structural_tag": "tools",
    "adapter": "model",
}


def field_of(name: str) -> str:
    """Return the request's field that an input of the engine was made of."""
    return _FIELDS.get(name, f"sampling.{name}" if name else "")


def generation(
    request: pb.GenerateRequest,
    prompt: Prompt,
    form: Form | None,
    structural_tag: str | None,
    *,
    context_window: int,
    cache_salt: str,
) -> Generation:
    """Write what the request sets, and nothing else.

    The model may be asked for with an adapter, as `model:adapter`.

    Raises:
        MeshError: CONTEXT_WINDOW_EXCEEDED, or INVALID_REQUEST.
    """
    sampling = request.sampling
    plain = {field.name: value for field, value in sampling.ListFields() if field.name in _PLAIN}
    if request.controls.HasField("priority"):
        plain["priority"] = request.controls.priority
    regex = form.regex if form is not None else None
    if prompt.echo and structural_tag is None:
        regex = healing.expression(prompt.echo)
    return Generation(
        input_ids=prompt.token_ids,
        max_output_tokens=_max_output_tokens(request, prompt, context_window),
        stop=list(sampling.stop),
        logprobs=1 if sampling.HasField("logprobs") else 0,
        top_logprobs=sampling.logprobs,
        logit_bias=dict(sampling.logit_bias),
        **plain,
        json_schema=form.json_schema if form is not None else None,
        regex=regex,
        structural_tag=structural_tag,
        adapter=request.model.partition(":")[2],
        cache_salt=cache_salt,
    )


def _max_output_tokens(request: pb.GenerateRequest, prompt: Prompt, context_window: int) -> int:
    input_tokens = len(prompt.token_ids)
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
    left += prompt.echo_tokens
    if left > room:
        raise errors.context_window_exceeded(input_tokens, left, context_window)
    return left
