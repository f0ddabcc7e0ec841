"""Has the detectors look at the texts of a request: off the event loop, and each within its time.

A detector that throws, or is late, stands for what its rule says; the others are not touched by it.
"""

import asyncio
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from services import errors
from services.safety.detector import Text
from services.safety.look import Look
from services.safety.metrics import ERROR, LATE, OUTPUT, STUCK, SafetyMetrics
from services.safety.passages import Passage
from services.safety.profile import Rule
from services.safety.stream.rules import Judged

_QUICK = {"deny_list", "deny", "characters", "length", "links"}
_QUICK_CHARS = 1000
"""What costs less than a thread, which takes 0.1 ms: these detectors, with so little to read."""

_TURN_S = 0.05
"""After so long others have their turn, where a request has more to look at."""
_MOST_WAIT_S = 10.0
"""The longest that a request waits for its turn."""
_MOST_THREADS = 256
"""More than are ever used: each detector may have as many that are stuck as there are places."""

Found = list[list[Judged]]
"""What was found, by passage."""


class Looking:
    """The threads in which detectors look, and the places for those that look at once."""

    def __init__(self, metrics: SafetyMetrics, places: int = 0) -> None:
        self.metrics = metrics
        self._threads = ThreadPoolExecutor(_MOST_THREADS, "safety")
        self._places = asyncio.Semaphore(places or os.cpu_count() or 1)
        self._turns: set[asyncio.Task[None]] = set()
        """Those that are being taken; each ends by itself, also where nobody waits any more."""
        self._left: dict[str, list[Future[Any]]] = {}
        """By rule, the calls that were given up and may still run."""
        self._lock = threading.Lock()

    async def look(
        self, rules: Sequence[Rule], passages: Sequence[Passage], allowed: frozenset[str]
    ) -> Found:
        """Return what the rules find, with what stands for what could not be judged.

        Rules run one after another: they share the forms of a text, and one pass of the classifier.

        Raises:
            MeshError: OVERLOADED, when no place was free in time; SAFETY_UNAVAILABLE, for a rule
                that cannot tell and fails closed.
        """
        looks = [Look(self, rule, passages, allowed) for rule in rules]
        if _is_quick(rules, passages):
            _go_on(looks)
        while not all(look.is_over for look in looks):
            await self._take_turn(looks)
        return [
            [judged for found in of_passage for judged in found]
            for of_passage in zip(*(look.found for look in looks), strict=True)
        ] or [[] for _ in passages]

    def judged(self, rule: Rule, text: Text, allowed: frozenset[str]) -> list[Judged]:
        """Have a rule look at a piece of an answer at once, in this thread.

        Raises:
            MeshError: SAFETY_UNAVAILABLE, where it cannot tell and fails closed.
        """
        began = time.perf_counter()
        found = self.ask(rule, text, allowed)
        self.metrics.took(rule.detector.name, OUTPUT, time.perf_counter() - began)
        return found

    def judged_in_time(self, rule: Rule, text: Text, allowed: frozenset[str]) -> list[Judged]:
        """Do the same in another thread; wait no longer than the rule may take.

        Raises:
            MeshError: SAFETY_UNAVAILABLE, where it cannot tell and fails closed.
        """
        if self.is_stuck(rule):
            return self.unjudged(rule, text, STUCK)
        looking = self._threads.submit(self.judged, rule, text, allowed)
        try:
            return looking.result(rule.deadline_s)
        except TimeoutError:
            self._leave(rule, looking)
            return self.unjudged(rule, text, LATE)

    def ask(self, rule: Rule, text: Text, allowed: frozenset[str]) -> list[Judged]:
        """Return what a rule finds in a text, or what stands for it where it cannot tell.

        Raises:
            MeshError: SAFETY_UNAVAILABLE, where it fails closed.
        """
        try:
            return rule.judged(text, allowed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the detector cannot tell
            return self.unjudged(rule, text, ERROR, type(error).__name__)

    def unjudged(self, rule: Rule, text: Text, reason: str, error: str = "") -> list[Judged]:
        """Return what stands for what a rule did not find: that it could not tell.

        Raises:
            MeshError: SAFETY_UNAVAILABLE, where it fails closed.
        """
        self.metrics.failed(rule.detector.name, reason, error)
        if rule.fails_closed:
            raise errors.safety_unavailable(rule.detector.name)
        return [rule.unjudged(text)]

    def is_stuck(self, rule: Rule) -> bool:
        """Tell whether an earlier call of the rule's detector was given up, and still runs."""
        return any(not call.done() for call in self._left.get(rule.kind, ()))

    def close(self) -> None:
        """Let no more look; a detector that is stuck is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _take_turn(self, looks: Sequence[Look]) -> None:
        """Let looks go on for a while, when it is their turn."""
        try:
            async with asyncio.timeout(_MOST_WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise errors.overloaded("safety") from None
        stops = threading.Event()
        turn = asyncio.ensure_future(self._turn(looks, stops))
        self._turns.add(turn)
        turn.add_done_callback(self._forget)
        try:
            await asyncio.shield(turn)
        finally:
            stops.set()

    async def _turn(self, looks: Sequence[Look], stops: threading.Event) -> None:
        """Wait for the end of a turn, or until the look that is taken is late."""
        try:
            call = self._threads.submit(_go_on, looks, stops)
            running = asyncio.wrap_future(call)
            while not running.done():
                look = next((look for look in looks if not look.is_over), None)
                await asyncio.wait([running], timeout=look.time_left() if look else None)
                if look is not None and not running.done() and look.is_late():
                    running.cancel()
                    self._leave(look.rule, call)
                    look.stand_in(LATE)
                    return
            running.result()
        finally:
            self._places.release()

    def _forget(self, turn: "asyncio.Task[None]") -> None:
        self._turns.discard(turn)
        if not turn.cancelled():
            # Whoever waited was told, unless they left.
            turn.exception()

    def _leave(self, rule: Rule, call: "Future[Any]") -> None:
        """Remember a call that nobody waits for."""
        call.cancel()
        with self._lock:
            left = self._left.get(rule.kind, [])
            self._left[rule.kind] = [one for one in (*left, call) if not one.done()]


def _go_on(looks: Sequence[Look], stops: threading.Event | None = None) -> None:
    """Take the steps of one look after another: all of them, or those of one turn."""
    began = time.perf_counter()
    for look in looks:
        while not look.is_over:
            if not look.step():
                return
            if stops and (stops.is_set() or time.perf_counter() - began > _TURN_S):
                return


def _is_quick(rules: Sequence[Rule], passages: Sequence[Passage]) -> bool:
    chars = sum(len(passage.text.raw) for passage in passages)
    return chars <= _QUICK_CHARS and all(rule.kind in _QUICK for rule in rules)
