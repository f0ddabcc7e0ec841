"""The body of a chat completion."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services import errors
from services.inference import features
from services.inference.openai import guides
from services.inference.openai.dialect import Dialect
from services.inference.openai.messages import continued, messages

_SAME = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "min_p", "n")
"""What the contract and every server call alike."""
_ALL_TOKENS = -1
"""What servers want for `top_k` where the contract has 0."""
_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


def chat(request: pb.GenerateRequest, model: str, dialect: Dialect) -> dict[str, Any]:
    """Return the body that asks a server of this dialect for what the request asks for.

    A request's priority stays here: servers reject it, or count the other way, by how they were
    started, which nothing tells.

    Args:
        request: the request.
        model: the model's name on the server.
        dialect: what the server understands.

    Raises:
        MeshError: UNSUPPORTED for what the server cannot do, INVALID_REQUEST for JSON that is none.
    """
    features.refuse(request, dialect.refusals)
    body: dict[str, Any] = {
        "model": model,
        "messages": messages(request.messages, request.model, dialect),
        "stream": True,
    }
    if dialect.stream_options:
        body["stream_options"] = {"include_usage": True}
    body.update(_sampling(request, dialect))
    body.update(_tools(request, dialect))
    wanted = guides.read(request.response_format)
    if wanted is not None:
        body.update(dialect.guide(wanted))
    if features.is_continued(request):
        body["messages"].append(_continued(request, dialect))
        body.update(dialect.continuation)
    return body


def _sampling(request: pb.GenerateRequest, dialect: Dialect) -> Iterator[tuple[str, Any]]:
    sampling = request.sampling
    for field, value in sampling.ListFields():
        if field.name in _SAME and not _is_rejected(field.name, value, dialect):
            yield field.name, _decimal(value) if isinstance(value, float) else value
    if sampling.HasField("max_output_tokens"):
        yield dialect.limit, _left(request)
    if sampling.stop:
        yield "stop", list(sampling.stop)
    if sampling.HasField("logprobs"):
        yield "logprobs", True
        yield "top_logprobs", max(sampling.logprobs, dialect.fewest_top_logprobs)
    if sampling.logit_bias:
        bias = sorted(sampling.logit_bias.items())
        yield "logit_bias", {str(token): _decimal(value) for token, value in bias}
    yield from _by_other_names(sampling, dialect)


def _by_other_names(sampling: message_pb2.Sampling, dialect: Dialect) -> Iterator[tuple[str, Any]]:
    """Give what servers call otherwise than the contract, or mean otherwise."""
    if sampling.HasField("min_output_tokens"):
        yield "min_tokens", sampling.min_output_tokens
    if sampling.HasField("top_k"):
        yield "top_k", sampling.top_k or _ALL_TOKENS
    if sampling.HasField("repetition_penalty"):
        yield dialect.repetition_penalty, _decimal(sampling.repetition_penalty)
    if sampling.HasField("seed"):
        yield "seed", sampling.seed % dialect.seeds


def _is_rejected(name: str, value: float, dialect: Dialect) -> bool:
    """Tell whether the server rejects a value that changes nothing."""
    return name == "top_p" and value == 1 and dialect.rejects_top_p_of_1


def _decimal(value: float) -> float:
    """Return what the caller wrote: 0.7 comes out of 32 bits as 0.699999988079071."""
    return float(f"{value:.7g}")


def _left(request: pb.GenerateRequest) -> int:
    # The limit is the whole answer's, and a continued answer has used some of it.
    left = request.sampling.max_output_tokens - request.continuation.output_tokens
    if left < 1:
        raise errors.invalid_field(
            "continuation.output_tokens", "must be below sampling.max_output_tokens"
        )
    return left


def _continued(request: pb.GenerateRequest, dialect: Dialect) -> dict[str, Any]:
    given = request.continuation
    if request.sampling.n > 1:
        raise errors.unsupported("sampling.n", request.model, "only one choice can be continued")
    if not given.text:
        field = "continuation.reasoning"
        raise errors.unsupported(field, request.model, "the server cannot go on with a thought")
    return continued(given.text, given.reasoning, dialect)


def _tools(request: pb.GenerateRequest, dialect: Dialect) -> Iterator[tuple[str, Any]]:
    # Tools that may not be called stay here: no server can then call one all the same.
    if not features.may_call_tools(request):
        return
    choice = request.tool_choice
    is_named = choice.mode == message_pb2.ToolChoice.MODE_NAMED
    offered = [
        _tool(tool, index)
        for index, tool in enumerate(request.tools)
        # A server to which none can be named must call the only one.
        if not is_named or dialect.names_tools or tool.name == choice.name
    ]
    yield "tools", offered
    if is_named and dialect.names_tools:
        yield "tool_choice", {"type": "function", "function": {"name": choice.name}}
    elif features.must_call_tools(request):
        yield "tool_choice", "required"
    # A tool that is named is called once.
    if not features.may_call_several(request) or (is_named and not dialect.names_tools):
        yield "parallel_tool_calls", False


def _tool(tool: message_pb2.Tool, index: int) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": _NO_ARGUMENTS}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_schema:
        try:
            function["parameters"] = json.loads(tool.parameters_schema)
        except ValueError:
            field = f"tools[{index}].parameters_schema"
            raise errors.invalid_field(field, "must be JSON") from None
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}
