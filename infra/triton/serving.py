"""Brings Triton's requests to the engine and its text back, on one event loop."""

# Triton adds the rest of `triton_python_backend_utils` after it has imported this module.
from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import triton_python_backend_utils as pb_utils

from infra.triton import frames, tensors
from infra.triton.admission import Admission, QueueFullError
from infra.triton.contract import Failure, Reason
from infra.triton.engine import Generation
from infra.triton.guides import Guide, GuideChecker
from infra.triton.metrics import EngineMetrics
from infra.triton.process import EngineProcess
from infra.triton.spans import Course, EngineSpans

_log = logging.getLogger(__name__)

# Each question whether a caller has left is a round trip to Triton: at most 500 a second.
_POLL_S_PER_CALL = 0.002
_POLL_S = (0.01, 0.07)
_PUBLISH_S = 0.5
_MAX_CHECKS = 4
_LEFT = Failure(Reason.CANCELLED, "the caller has left")
_UNGUIDED = Guide()
_DOWN = Failure(Reason.ENGINE_FAILED, "the engine is not running", 1.0)


@dataclass(slots=True)
class Call:
    """A request of Triton's, on its way."""

    id: int
    generation: Generation
    sender: pb_utils.InferenceResponseSender
    trace: Mapping[str, str]
    arrived_ns: int
    has_left: bool = False
    sent_tokens: int = 0
    polled_tokens: int = 0
    """The tokens sent when the caller was last known to be there."""
    _is_over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, response: pb_utils.InferenceResponse, *, is_last: bool) -> None:
        """Hand a response to Triton."""
        if not is_last:
            tensors.send(self.sender, response, is_last=False)
            return
        with self._lock:
            self._is_over = True
            tensors.send(self.sender, response, is_last=True)

    def is_abandoned(self) -> bool:
        """Ask Triton whether the caller has left; from any thread."""
        # Triton crashes when it is asked after, or while, it is given the last response.
        with self._lock:
            return not self._is_over and self.sender.is_cancelled()


@dataclass(slots=True)
class Serving:
    """One model: who is admitted, what the engine says to whom, and who has left."""

    process: EngineProcess
    admission: Admission
    metrics: EngineMetrics
    guides: GuideChecker
    spans: EngineSpans | None
    _calls: dict[int, Call] = field(default_factory=dict[int, Call])
    _checks: dict[int, asyncio.Task[None]] = field(default_factory=dict[int, asyncio.Task[None]])
    """The guides that are tried, one after the other, by the call that they came with."""
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    def accept(
        self,
        generation: Generation,
        sender: pb_utils.InferenceResponseSender,
        trace: Mapping[str, str],
    ) -> None:
        """Take a request; everything that is to be said about it goes to its sender."""
        call = Call(next(self._ids), generation, sender, trace, time.monotonic_ns())
        self._calls[call.id] = call
        try:
            self.admission.enter(
                call.id, generation.n, generation.priority, lambda: self._begin(call)
            )
        except QueueFullError as error:
            full = Failure(Reason.QUEUE_FULL, "the queue is full", error.retry_after_s)
            self._end(call, None, full)

    async def watch(self) -> None:
        """Notice callers who have left, and publish the figures, until cancelled."""
        publish_at = 0.0
        while True:
            await asyncio.sleep(_pause_s(len(self._calls)))
            present = [call for call in self._calls.values() if not call.has_left]
            tokens = [call.sent_tokens for call in present]
            # Each question is a round trip to Triton, which must not hold up the loop.
            left = await asyncio.to_thread(_abandoned, present)
            for call, had_left, sent_tokens in zip(present, left, tokens, strict=True):
                if not had_left:
                    call.polled_tokens = sent_tokens
                elif call.id in self._calls:
                    self._cancel(call)
            if time.monotonic() >= publish_at:
                publish_at = time.monotonic() + _PUBLISH_S
                self.metrics.publish(
                    self.admission.running,
                    self.admission.waiting,
                    self.process.kv_cache_usage_ratio,
                )

    def _begin(self, call: Call) -> None:
        generation = call.generation
        guide = Guide(generation.json_schema, generation.regex)
        if guide == _UNGUIDED:
            self._start(call)
        else:
            self._check(call, guide)

    def _check(self, call: Call, guide: Guide) -> None:
        loop = asyncio.get_running_loop()
        if len(self._checks) >= _MAX_CHECKS:
            # Guides that take their time may not hold the places of all others.
            full = Failure(Reason.QUEUE_FULL, "too many guides are being compiled", 1.0)
            loop.call_soon(self._end, call, None, full)
            return
        task = loop.create_task(self._begin_guided(call, guide))
        self._checks[call.id] = task
        task.add_done_callback(lambda _: self._checks.pop(call.id, None))

    async def _begin_guided(self, call: Call, guide: Guide) -> None:
        try:
            problem = await self.guides.problem(guide)
        except ConnectionError:
            self._end(call, None, _DOWN)
            return
        if problem:
            field_name = "regex" if guide.json_schema is None else "json_schema"
            self._end(call, None, Failure(Reason.INVALID, problem, field=field_name))
        elif call.id in self._calls:
            self._start(call)

    def _start(self, call: Call) -> None:
        try:
            self.process.start(call.id, call.generation, lambda update: self._deliver(call, update))
        except ConnectionError:
            # Not from inside the admission that has just let it in.
            asyncio.get_running_loop().call_soon(self._end, call, None, _DOWN)
        else:
            call.send(tensors.accepted(), is_last=False)

    def _cancel(self, call: Call) -> None:
        call.has_left = True
        check = self._checks.get(call.id)
        if check is not None:
            check.cancel()
        if not self.process.cancel(call.id):
            self._end(call, None, _LEFT)

    def _deliver(self, call: Call, update: frames.Update) -> None:
        end = update.end
        if end is not None and end.failure is not None:
            self._end(call, end, end.failure)
            return
        for position, piece in enumerate(update.pieces, 1):
            is_last = end is not None and position == len(update.pieces)
            timings = _timings(call, end) if end is not None and is_last else None
            call.sent_tokens += len(piece.token_ids)
            call.send(tensors.response(piece, timings), is_last=is_last)
        if end is not None:
            self._end(call, end, None)

    def _end(self, call: Call, end: frames.End | None, failure: Failure | None) -> None:
        if call.id not in self._calls:
            return
        if failure is not None:
            call.send(tensors.error(failure), is_last=True)
        generated = end.generated_tokens if end is not None else call.sent_tokens
        self.metrics.generated_tokens += generated
        if call.has_left:
            self.metrics.abandoned_tokens += max(0, generated - call.polled_tokens)
        del self._calls[call.id]
        self.admission.leave(call.id)
        if self.spans is not None:
            self.spans.write(_course(call, end, generated, failure), call.trace)


def _abandoned(calls: Iterable[Call]) -> list[bool]:
    return [call.is_abandoned() for call in calls]


def _pause_s(calls: int) -> float:
    """Return how long to wait before asking again; an idle model is left alone."""
    shortest, longest = _POLL_S
    return min(max(_POLL_S_PER_CALL * calls, shortest), longest) if calls else longest


def _timings(call: Call, end: frames.End) -> tuple[int, int, int]:
    return (
        end.first_step_ns - call.arrived_ns,
        end.first_token_ns - end.first_step_ns,
        end.last_token_ns - end.first_token_ns,
    )


def _course(call: Call, end: frames.End | None, generated: int, failure: Failure | None) -> Course:
    return Course(
        arrived_ns=call.arrived_ns,
        first_step_ns=end.first_step_ns if end is not None else 0,
        first_token_ns=end.first_token_ns if end is not None else 0,
        last_token_ns=end.last_token_ns if end is not None else 0,
        ended_ns=time.monotonic_ns(),
        input_tokens=len(call.generation.input_ids),
        output_tokens=generated,
        reason=failure.reason if failure is not None else "",
    )
