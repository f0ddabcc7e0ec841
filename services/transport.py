"""How links talk over gRPC: channel options, and the form of `Call` as metadata."""

import time
from typing import Any

import grpc

from services.link import Call

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""The largest message; the edge bounds what comes in from outside, long before this."""

OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # An error's details travel in trailers, which gRPC bounds to 8 KiB unless told otherwise.
    ("grpc.max_metadata_size", 64 * 1024),
    # A part that comes back is found again within a second, not after gRPC's 120 s of backoff.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # However its name reads, this is how long one attempt to connect may take.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
"""Options of every channel and server of the mesh."""

REQUEST_ID = "x-request-id"
TIMEOUT_MS = "x-request-timeout-ms"
TRACE_KEYS = ("traceparent", "tracestate")
_TENANT = "x-catenary-tenant"
_KEY_ID = "x-catenary-key-id"
_SCOPES = "x-catenary-scopes"


def to_metadata(call: Call) -> list[tuple[str, str]]:
    """Write what travels beside a request; the deadline is gRPC's own, and not part of it."""
    metadata = [(REQUEST_ID, call.request_id), (_TENANT, call.tenant)]
    if call.key_id:
        metadata.append((_KEY_ID, call.key_id))
    if call.scopes:
        metadata.append((_SCOPES, " ".join(sorted(call.scopes))))
    metadata.extend(call.trace.items())
    return metadata


def from_context(context: grpc.aio.ServicerContext[Any, Any]) -> Call:
    """Read what travels beside a request."""
    metadata = {
        key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)
    }
    # None when the caller set no deadline, whatever the stubs say.
    remaining: float | None = context.time_remaining()
    return Call(
        request_id=metadata.get(REQUEST_ID, ""),
        tenant=metadata.get(_TENANT, "default"),
        key_id=metadata.get(_KEY_ID, ""),
        scopes=frozenset(metadata.get(_SCOPES, "").split()),
        deadline=None if remaining is None else time.monotonic() + remaining,
        timeout_ms=metadata.get(TIMEOUT_MS),
        trace={key: metadata[key] for key in TRACE_KEYS if key in metadata},
    )
