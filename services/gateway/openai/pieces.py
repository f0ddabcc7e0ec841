"""What a completion and its chunks are made of alike."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format

from catenary.v1 import generation_pb2 as pb
from catenary.v1.decision_pb2 import Decision
from catenary.v1.message_pb2 import Usage

_LEAST_LOGPROB = -9999.0
"""What OpenAI gives for a token that is all but impossible; JSON has no minus infinity."""


def completion_id(request_id: str) -> str:
    """Name the completion after its request, so that logs and traces are found by it."""
    return f"chatcmpl-{request_id}"


def usage(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's `usage`."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def logprobs(tokens: Iterable[pb.TokenLogprob]) -> dict[str, Any]:
    """Return OpenAI's `logprobs` of a choice."""
    content = [
        {**_logprob(token), "top_logprobs": [_logprob(rival) for rival in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def decision(decision: Decision) -> dict[str, Any]:
    """Return a decision as the native API's JSON has it, with the names of the contract."""
    return json_format.MessageToDict(decision, preserving_proto_field_name=True)


def _logprob(token: pb.TokenLogprob) -> dict[str, Any]:
    return {
        "token": token.token,
        "logprob": max(token.logprob, _LEAST_LOGPROB),
        "bytes": list(token.token_bytes),
    }
