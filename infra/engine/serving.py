"""Brings requests to the engine and its text back to whoever asked, on one event loop."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from infra.engine import demand, frames
from infra.engine.admission import Admission, Demand, QueueFullError, TooLateError
from infra.engine.call import Call, Caller
from infra.engine.demand import RefusedError
from infra.engine.engine import Generation, KvCache
from infra.engine.failure import Failure, Reason
from infra.engine.figures import Figures, Load, Publisher
from infra.engine.guides import CrowdedError, Guide, GuideChecker, is_harmless
from infra.engine.process import EngineProcess
from infra.engine.spans import EngineSpans

_PUBLISH_S = 0.5
_PATIENCE_S = 10.0
"""Those that wait when the engine dies keep their place for so long."""
_LEFT = Failure(Reason.CANCELLED, "the caller has left")
_LATE = Failure(Reason.DEADLINE_EXCEEDED, "the time for the request is up")
_TOO_LATE = Failure(Reason.DEADLINE_TOO_SHORT, "the queue is too long for the request's deadline")
_UNTOLD = KvCache(0, 1)
_RESTARTING = Failure(Reason.ENGINE_RESTARTING, "the engine is not running", 1.0)
_BROKEN = Failure(Reason.ENGINE_BROKEN, "the engine cannot be started", 1.0)


@dataclass(slots=True)
class Serving:
    """One model: who is admitted, and what the engine says to whom."""

    process: EngineProcess
    admission: Admission
    guides: GuideChecker
    publisher: Publisher
    spans: EngineSpans | None
    context_window: int
    """The most tokens of prompt and completion together."""
    figures: Figures = field(default_factory=Figures)
    calls: dict[int, Call] = field(default_factory=dict[int, Call])
    """The requests that have not ended, by number."""
    _kv_cache: KvCache = _UNTOLD
    _checks: dict[int, asyncio.Task[None]] = field(default_factory=dict[int, asyncio.Task[None]])
    """The calls whose guides are being tried."""
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)
    _patience: asyncio.TimerHandle | None = None

    def accept(self, generation: Generation, caller: Caller, trace: Mapping[str, str]) -> int:
        """Take a request, and return its number; all else is said to the caller."""
        if trace:
            generation = msgspec.structs.replace(generation, trace_headers=dict(trace))
        call = Call(next(self._ids), generation, caller, trace, time.monotonic_ns())
        self.calls[call.id] = call
        failure = self._enter(call) if self.process.is_up else self._down()
        if failure is not None:
            self._end(call, None, failure)
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

    def load(self) -> Load:
        """Return how busy the engine is."""
        admission = self.admission
        sequences = admission.running + admission.waiting_sequences
        tokens = admission.running_tokens + admission.waiting_tokens
        return Load(
            utilization=max(
                sequences / admission.limits.sequences, tokens / max(1, admission.max_tokens)
            ),
            running=admission.running,
            waiting=admission.waiting,
            waiting_tokens=admission.waiting_tokens,
            kv_cache_usage_ratio=self.figures.kv_cache_usage_ratio,
            tokens_per_s=self.figures.tokens_per_s,
            sequences_per_s=admission.sequences_per_s(),
            batch_size=self.figures.batch_size,
            max_batch_size=admission.limits.sequences,
            cached_prompt_ratio=self.figures.cached_prompt_ratio,
        )

    async def run(self) -> None:
        """Keep the engine running, and publish the figures, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.process.run(self))
                tasks.create_task(self._publish())
        finally:
            self._stop_waiting_for_it()
            self._fail_those_that_wait()
            self.publisher.withdraw()
            await self.guides.close()

    def up(self, kv_cache: KvCache) -> None:
        """Let requests in: the engine's process is ready."""
        self._stop_waiting_for_it()
        self._kv_cache = kv_cache
        self.admission.open(demand.kv_cache_tokens(kv_cache))

    def down(self) -> None:
        """Let nobody in: the engine's process has ended. Those that wait may keep their place."""
        self.figures.restarts += 1
        self.admission.close()
        if self._patience is None:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(_PATIENCE_S, self._fail_those_that_wait)

    def did(self, work: frames.Work) -> None:
        """Count what the engine has done."""
        self.figures.count(work)

    async def _publish(self) -> None:
        figures, admission = self.figures, self.admission
        while True:
            generated_before = figures.generated_tokens
            await asyncio.sleep(_PUBLISH_S)
            figures.time_passed(_PUBLISH_S, generated_before)
            figures.running = admission.running
            figures.running_tokens = admission.running_tokens
            figures.waiting = admission.waiting
            figures.waiting_tokens = admission.waiting_tokens
            self.publisher.publish(figures)

    def _enter(self, call: Call) -> Failure | None:
        """Queue a request up, or return why not."""
        try:
            displaced = self.admission.enter(call.id, self._demand(call), lambda: self._begin(call))
        except RefusedError as refused:
            return Failure(Reason.INVALID, refused.problem, field=refused.field)
        except TooLateError:
            return _TOO_LATE
        except QueueFullError as error:
            return Failure(Reason.QUEUE_FULL, "the queue is full", error.retry_after_s)
        for each in displaced:
            full = Failure(
                Reason.QUEUE_FULL, "a higher priority needs its place", each.retry_after_s
            )
            self._end(self.calls[each.identity], None, full)
        return None

    def _demand(self, call: Call) -> Demand:
        """Return what a request needs of the engine, and set the timer of its deadline.

        Raises:
            RefusedError: it needs more than may ever be there.
        """
        admission = self.admission
        call.generation = demand.fitted(call.generation, self._kv_cache, self.context_window)
        generation = call.generation
        tokens = demand.tokens(
            generation, self._kv_cache, admission.limits.sequences, admission.max_tokens
        )
        if generation.time_budget_ms is not None:
            budget_s = generation.time_budget_ms / 1000
            # Each token takes a step, as long as those of now.
            step_s = self.figures.step_s if admission.running else 0.0
            needed_s = max(1, generation.min_output_tokens) * step_s
            call.latest_s = call.arrived_ns / 1e9 + budget_s - needed_s
            loop = asyncio.get_running_loop()
            call.timer = loop.call_later(budget_s, self._give_up, call)
        return Demand(generation.n, tokens, generation.priority, call.latest_s)

    def _give_up(self, call: Call) -> None:
        check = self._checks.get(call.id)
        if check is not None:
            check.cancel()
        self.process.cancel(call.id)
        self._end(call, None, _LATE)

    def _fail_those_that_wait(self) -> None:
        for identity in self.admission.waiting_ones():
            self._end(self.calls[identity], None, self._down())

    def _down(self) -> Failure:
        return _BROKEN if self.process.is_broken else _RESTARTING

    def _stop_waiting_for_it(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _begin(self, call: Call) -> None:
        generation = call.generation
        if time.monotonic() > call.latest_s:
            # It would only take the time of those behind it.
            asyncio.get_running_loop().call_soon(self._end, call, None, _TOO_LATE)
            return
        guide = Guide.of(generation)
        if not guide.field or is_harmless(guide):
            self._start(call)
        else:
            self._check(call, guide)

    def _check(self, call: Call, guide: Guide) -> None:
        verdict = self.guides.known(guide)
        if verdict is not None:
            # Not from inside the admission that has just let it in.
            asyncio.get_running_loop().call_soon(self._judge, call, guide, verdict.problem)
        elif len(self._checks) >= max(1, self.admission.limits.sequences // 2):
            # Guides that take their time may not hold the places of all others.
            asyncio.get_running_loop().call_soon(
                self._end, call, None, _crowded(self.guides.wait_s)
            )
        else:
            task = asyncio.get_running_loop().create_task(self._begin_guided(call, guide))
            self._checks[call.id] = task
            task.add_done_callback(lambda _: self._checks.pop(call.id, None))

    async def _begin_guided(self, call: Call, guide: Guide) -> None:
        try:
            problem = await self.guides.problem(guide)
        except ConnectionError:
            self._end(call, None, self._down())
        except CrowdedError as error:
            self._end(call, None, _crowded(error.retry_after_s))
        else:
            self._judge(call, guide, problem)

    def _judge(self, call: Call, guide: Guide, problem: str) -> None:
        if problem:
            self._end(call, None, Failure(Reason.INVALID, problem, field=guide.field))
        elif call.id in self.calls:
            self._start(call)

    def _start(self, call: Call) -> None:
        try:
            self.process.start(call.id, call.generation, lambda update: self._deliver(call, update))
        except ConnectionError:
            # Not from inside the admission that has just let it in.
            asyncio.get_running_loop().call_soon(self._end, call, None, self._down())
        else:
            call.caller.accept()

    def _deliver(self, call: Call, update: frames.Update) -> None:
        if call.id not in self.calls:
            return
        end = update.end
        if end is not None and end.failure is not None:
            self._end(call, end, end.failure)
            return
        for position, piece in enumerate(update.pieces, 1):
            is_last = end is not None and position == len(update.pieces)
            timings = call.timings(end) if end is not None and is_last else None
            call.sent_tokens += len(piece.token_ids)
            if piece.cached_input_tokens:
                self.figures.count_cached(piece.cached_input_tokens)
            call.caller.take(piece, timings)
        if end is not None:
            self._end(call, end, None)

    def _end(self, call: Call, end: frames.End | None, failure: Failure | None) -> None:
        if call.id not in self.calls:
            return
        if call.timer is not None:
            call.timer.cancel()
        if failure is not None:
            call.caller.fail(failure)
            self.figures.failures[failure.reason] += 1
        generated = end.generated_tokens if end is not None else call.sent_tokens
        if call.has_left:
            self.figures.abandoned_tokens += max(0, generated - call.known_tokens)
        del self.calls[call.id]
        self.admission.leave(call.id)
        if self.spans is not None:
            self.spans.write(call.course(end, generated, failure), call.trace)


def _crowded(retry_after_s: float) -> Failure:
    return Failure(Reason.TOO_MANY_GUIDES, "too many guides are being compiled", retry_after_s)
