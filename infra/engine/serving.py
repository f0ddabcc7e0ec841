"""Brings requests to the engine and its text back to whoever asked, on one event loop."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from infra.engine import frames
from infra.engine.admission import Admission, QueueFullError
from infra.engine.engine import Generation
from infra.engine.failure import Failure, Reason
from infra.engine.figures import Figures, Publisher
from infra.engine.frames import Timings
from infra.engine.guides import Guide, GuideChecker
from infra.engine.process import EngineProcess
from infra.engine.spans import Course, EngineSpans

_PUBLISH_S = 0.5
_MAX_CHECKS = 4
_LEFT = Failure(Reason.CANCELLED, "the caller has left")
_UNGUIDED = Guide()
_DOWN = Failure(Reason.ENGINE_FAILED, "the engine is not running", 1.0)


class Caller(Protocol):
    """Whoever asked; what is to be said about the generation is said to it."""

    def accept(self) -> None:
        """The engine has taken the request: the first thing said, once."""
        ...

    def take(self, piece: frames.Piece, timings: Timings | None) -> None:
        """Something is new; with `timings` it is the last that is said."""
        ...

    def fail(self, failure: Failure) -> None:
        """The generation is given up: the last that is said."""
        ...


@dataclass(slots=True)
class Call:
    """A request on its way."""

    id: int
    generation: Generation
    caller: Caller
    trace: Mapping[str, str]
    arrived_ns: int
    has_left: bool = False
    sent_tokens: int = 0
    known_tokens: int = 0
    """The tokens sent when the caller was last known to be there."""


@dataclass(slots=True)
class Serving:
    """One model: who is admitted, and what the engine says to whom."""

    process: EngineProcess
    admission: Admission
    guides: GuideChecker
    publisher: Publisher
    spans: EngineSpans | None
    figures: Figures = field(default_factory=Figures)
    calls: dict[int, Call] = field(default_factory=dict[int, Call])
    """The requests that have not ended, by number."""
    _checks: dict[int, asyncio.Task[None]] = field(default_factory=dict[int, asyncio.Task[None]])
    """The guides that are tried, one after the other, by the call that they came with."""
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def accept(self, generation: Generation, caller: Caller, trace: Mapping[str, str]) -> int:
        """Take a request, and return its number; all else is said to the caller."""
        call = Call(next(self._ids), generation, caller, trace, time.monotonic_ns())
        self.calls[call.id] = call
        try:
            self.admission.enter(
                call.id, generation.n, generation.priority, lambda: self._begin(call)
            )
        except QueueFullError as error:
            full = Failure(Reason.QUEUE_FULL, "the queue is full", error.retry_after_s)
            self._end(call, None, full)
        return call.id

    def cancel(self, identity: int) -> None:
        """Give up a request whose caller has left; nothing happens if it has ended."""
        call = self.calls.get(identity)
        if call is None or call.has_left:
            return
        call.has_left = True
        check = self._checks.get(call.id)
        if check is not None:
            check.cancel()
        if not self.process.cancel(call.id):
            self._end(call, None, _LEFT)

    async def run(self) -> None:
        """Keep the engine running, and publish the figures, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.process.run())
                tasks.create_task(self._publish())
        finally:
            await self.guides.close()

    async def _publish(self) -> None:
        while True:
            figures = self.figures
            figures.running = self.admission.running
            figures.waiting = self.admission.waiting
            figures.kv_cache_usage_ratio = self.process.kv_cache_usage_ratio
            self.publisher.publish(figures)
            await asyncio.sleep(_PUBLISH_S)

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
        elif call.id in self.calls:
            self._start(call)

    def _start(self, call: Call) -> None:
        try:
            self.process.start(call.id, call.generation, lambda update: self._deliver(call, update))
        except ConnectionError:
            # Not from inside the admission that has just let it in.
            asyncio.get_running_loop().call_soon(self._end, call, None, _DOWN)
        else:
            call.caller.accept()

    def _deliver(self, call: Call, update: frames.Update) -> None:
        end = update.end
        if end is not None and end.failure is not None:
            self._end(call, end, end.failure)
            return
        for position, piece in enumerate(update.pieces, 1):
            is_last = end is not None and position == len(update.pieces)
            timings = _timings(call, end) if end is not None and is_last else None
            call.sent_tokens += len(piece.token_ids)
            call.caller.take(piece, timings)
        if end is not None:
            self._end(call, end, None)

    def _end(self, call: Call, end: frames.End | None, failure: Failure | None) -> None:
        if call.id not in self.calls:
            return
        if failure is not None:
            call.caller.fail(failure)
        generated = end.generated_tokens if end is not None else call.sent_tokens
        self.figures.generated_tokens += generated
        if call.has_left:
            self.figures.abandoned_tokens += max(0, generated - call.known_tokens)
        del self.calls[call.id]
        self.admission.leave(call.id)
        if self.spans is not None:
            self.spans.write(_course(call, end, generated, failure), call.trace)


def _timings(call: Call, end: frames.End) -> Timings:
    return Timings(
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
