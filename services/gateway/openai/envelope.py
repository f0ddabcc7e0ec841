"""Errors in OpenAI's shape."""

import json
import math
from typing import Any

from catenary.v1 import error_reason_pb2 as reasons
from services.errors import MeshError
from services.gateway.openai import pieces

ERROR = "x-catenary-error"
"""The trailing metadata whose value Envoy makes the body of the HTTP response."""

RETRY_AFTER = "retry-after"
"""The trailing metadata that Envoy makes a header: whole seconds."""

# The `type` and `code` that OpenAI's clients know; a code of None is OpenAI's null.
_INVALID = "invalid_request_error"
_SERVER = "server_error"
_KINDS: dict[int, tuple[str, str | None, str | None]] = {
    reasons.ERROR_REASON_INVALID_REQUEST: (_INVALID, None, None),
    reasons.ERROR_REASON_UNSUPPORTED: (_INVALID, "unsupported_parameter", None),
    reasons.ERROR_REASON_CONTEXT_WINDOW_EXCEEDED: (_INVALID, "context_length_exceeded", "messages"),
    reasons.ERROR_REASON_MODEL_NOT_FOUND: (_INVALID, "model_not_found", "model"),
    reasons.ERROR_REASON_UNAUTHENTICATED: ("authentication_error", "invalid_api_key", None),
    reasons.ERROR_REASON_PROMPT_BLOCKED: ("permission_error", "content_filter", "messages"),
    reasons.ERROR_REASON_QUEUE_FULL: ("rate_limit_error", "queue_full", None),
    reasons.ERROR_REASON_OVERLOADED: ("rate_limit_error", "overloaded", None),
    reasons.ERROR_REASON_UPSTREAM_UNREACHABLE: (_SERVER, "upstream_unreachable", None),
    reasons.ERROR_REASON_UPSTREAM_FAILED: (_SERVER, "upstream_failed", None),
    reasons.ERROR_REASON_MALFORMED_TOOL_CALL: (_SERVER, "malformed_tool_call", None),
    reasons.ERROR_REASON_SAFETY_UNAVAILABLE: (_SERVER, "safety_unavailable", None),
    reasons.ERROR_REASON_DEADLINE_EXCEEDED: (_SERVER, "deadline_exceeded", None),
    reasons.ERROR_REASON_CACHE_MISS: (_INVALID, "cache_miss", "catenary.cache.mode"),
    reasons.ERROR_REASON_STREAM_BROKEN: (_SERVER, "stream_broken", None),
    reasons.ERROR_REASON_INTERNAL: (_SERVER, "internal", None),
}


def envelope(error: MeshError) -> str:
    """Return the error as a line of JSON in printable ASCII, fit for metadata and for a stream."""
    kind, code, param = _KINDS[error.reason]
    if error.violations:
        param = error.violations[0].field or None
    body: dict[str, Any] = {"message": error.message, "type": kind, "param": param, "code": code}
    if error.decisions:
        body["catenary"] = {"decisions": [pieces.decision(told) for told in error.decisions]}
    return json.dumps({"error": body})


def trailers(error: MeshError) -> tuple[tuple[str, str], ...]:
    """Return the metadata from which Envoy makes the HTTP response."""
    metadata = ((ERROR, envelope(error)),)
    if error.retry_after_s is None:
        return metadata
    return (*metadata, (RETRY_AFTER, str(math.ceil(error.retry_after_s))))
