"""The one interface of the mesh, and what travels beside a request."""

import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from catenary.v1 import generation_pb2 as pb

Events = AsyncGenerator[pb.GenerateResponse, None]
"""A stream: one `started`, deltas and decisions, one `finished`; or a MeshError at any point.

Closing the generator cancels the generation, down to the engine's slot. Whoever consumes one does
so inside `contextlib.aclosing`, or its `finally` runs later, in another task.
"""


@dataclass(frozen=True, slots=True)
class Call:
    """What travels beside a request: who calls, how long the call may take, and its trace."""

    request_id: str
    """The request's identity, in logs, spans and errors."""
    tenant: str = "default"
    """The tenant that the request is counted for."""
    key_id: str = ""
    """The key that identified the caller; empty for an anonymous one. Never the secret."""
    scopes: frozenset[str] = frozenset()
    """What the key allows."""
    deadline: float | None = None
    """The instant of `time.monotonic()` by which the whole chain must be done; None: never."""
    timeout_ms: str | None = None
    """What a caller over HTTP asks for, as it wrote it; the gateway makes the deadline of it."""
    trace: Mapping[str, str] = field(default_factory=dict[str, str])
    """The W3C trace context (`traceparent`, `tracestate`) of the span above; empty when off."""

    def time_remaining(self) -> float | None:
        """Return the seconds left until the deadline, not below 0; None without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


class Link(Protocol):
    """A unit of the chain. All but the terminal one hold an `upstream`, which is again a link."""

    def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the events of one generation; the link changes neither argument."""
        ...
