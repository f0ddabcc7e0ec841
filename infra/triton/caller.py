"""Triton's side of a request: answers go to its response sender, and it tells who has left."""

# Triton adds the rest of `triton_python_backend_utils` after it has imported this module.
from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import triton_python_backend_utils as pb_utils

from infra.engine.failure import Failure
from infra.engine.figures import Load
from infra.engine.frames import Piece, Timings
from infra.engine.serving import Serving
from infra.triton import tensors

# Callers say when they leave. Those who cannot are found by asking Triton, a round trip for each.
_POLL_S = 1.0


@dataclass(slots=True)
class TritonCaller:
    """One caller, behind Triton."""

    request_id: str
    """The request's, as its caller has named it; empty when it has not."""
    sender: pb_utils.InferenceResponseSender
    load: Callable[[], Load]
    """Tells how busy the engine is, for the last response."""
    _is_over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self) -> None:
        """Say that the engine has taken the request."""
        tensors.send(self.sender, tensors.accepted(), is_last=False)

    def take(self, piece: Piece, timings: Timings | None) -> None:
        """Send a piece."""
        if timings is None:
            response = tensors.response(piece, None, None)
            tensors.send(self.sender, response, is_last=False)
        else:
            self._send_last(tensors.response(piece, timings, self.load()))

    def fail(self, failure: Failure) -> None:
        """Send a failure."""
        self._send_last(tensors.error(failure))

    def has_left(self) -> bool:
        """Ask Triton whether the caller has left; from any thread."""
        # Triton crashes when it is asked after, or while, it is given the last response.
        with self._lock:
            return not self._is_over and self.sender.is_cancelled()

    def _send_last(self, response: pb_utils.InferenceResponse) -> None:
        with self._lock:
            self._is_over = True
            tensors.send(self.sender, response, is_last=True)


def leave(serving: Serving, request_id: str) -> None:
    """Give up a request whose caller says that it leaves; nothing happens if it has ended."""
    for call in serving.calls.values():
        if isinstance(call.caller, TritonCaller) and call.caller.request_id == request_id:
            call.known_tokens = call.sent_tokens
            serving.cancel(call.id)
            return


async def watch(serving: Serving) -> None:
    """Give up the requests of callers who have left without a word, until cancelled."""
    while True:
        await asyncio.sleep(_POLL_S)
        # Nothing may stay here of a call that has ended: as long as its response sender is there,
        # Triton takes the request for running, and does not unload the model.
        await _give_up_left(serving)


async def _give_up_left(serving: Serving) -> None:
    present = [
        (call, call.caller)
        for call in serving.calls.values()
        if not call.has_left and isinstance(call.caller, TritonCaller)
    ]
    tokens = [call.sent_tokens for call, _ in present]
    # Each question is a round trip to Triton, which must not hold up the loop.
    left = await asyncio.to_thread(_left, [caller for _, caller in present])
    for (call, _), has_left, sent_tokens in zip(present, left, tokens, strict=True):
        if has_left:
            serving.cancel(call.id)
        else:
            call.known_tokens = sent_tokens


def _left(callers: Iterable[TritonCaller]) -> list[bool]:
    return [caller.has_left() for caller in callers]
