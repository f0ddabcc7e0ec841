"""One rule's look at the texts of a request, in steps: each is short, or cannot be cut."""

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from services.safety.detector import Source, Text
from services.safety.metrics import INPUT, LATE, OUTPUT, STUCK, SafetyMetrics
from services.safety.passages import Passage
from services.safety.pieces import judged_by_pieces
from services.safety.profile import BLOCK, PSEUDONYMISE, REWRITING, Rule
from services.safety.stream.rules import Judged

_DEADLINE_CHARS = 64 * 1024
"""A rule's deadline is for so many characters; more have more time, in proportion."""
_BY_PIECES = {"pii"}
"""Detectors that take long, and find nothing that hangs on what stands far away."""
_SURE = 0.9
"""From which score on something counts in a name that cannot change: there it has to be blocked,
and a name is made of words that mean nothing."""


class Asking(Protocol):
    """Asks a rule of one text."""

    metrics: SafetyMetrics

    def ask(self, rule: Rule, text: Text, allowed: frozenset[str]) -> list[Judged]:
        """Return what a rule finds in a text, or what stands for it where it cannot tell."""
        ...

    def unjudged(self, rule: Rule, text: Text, reason: str) -> list[Judged]:
        """Return what stands for what a rule did not find."""
        ...

    def is_stuck(self, rule: Rule) -> bool:
        """Tell whether an earlier call of the rule's detector was given up, and still runs."""
        ...


class Look:
    """Steps are taken by one thread at a time; another may give up the one that takes too long."""

    def __init__(
        self,
        asking: Asking,
        rule: Rule,
        passages: Sequence[Passage],
        allowed: frozenset[str],
    ) -> None:
        self.rule = rule
        self.found: list[list[Judged]] = [[] for _ in passages]
        """What was found, by passage."""
        self.is_over = False
        self._asking = asking
        self._allowed = allowed
        self._looked_at = [
            (passage, found)
            for passage, found in zip(passages, self.found, strict=True)
            if rule.looks_at(passage.text.source)
        ]
        self._steps = self._all_steps()
        chars = sum(len(passage.text.raw) for passage, _ in self._looked_at)
        self._limit_s = rule.deadline_s * max(1.0, chars / _DEADLINE_CHARS)
        self._step_limit_s = rule.deadline_s if rule.kind in _BY_PIECES else self._limit_s
        self._took_s = self._worked_s = 0.0
        """By the clock, and of a processor: waiting for one makes no detector late."""
        self._began: float | None = None
        """When the step began that is being taken."""
        self._lock = threading.Lock()

    def step(self) -> bool:
        """Look on, for one step; return False where it was given up meanwhile.

        Raises:
            MeshError: SAFETY_UNAVAILABLE, where the detector cannot tell and fails closed.
        """
        if self._looked_at and self._asking.is_stuck(self.rule):
            self.stand_in(STUCK)
            return True
        self._began, worked_s = time.perf_counter(), time.thread_time()
        step = next(self._steps, None)
        with self._lock:
            if self.is_over:
                return False
            self._took_s += time.perf_counter() - self._began
            self._began = None
        self._worked_s += time.thread_time() - worked_s
        if step is None:
            self._end()
        else:
            found, judged = step
            found += judged
            if self._worked_s > self._limit_s:
                self.stand_in(LATE)
        return True

    def time_left(self) -> float:
        """Return how long the step that is being taken may take on, in seconds."""
        began = self._began
        running_s = 0.0 if began is None else time.perf_counter() - began
        return max(0.0, self._step_limit_s - running_s)

    def is_late(self) -> bool:
        """Tell whether the step that is being taken takes too long; it finds nothing more then."""
        with self._lock:
            is_late = not self.is_over and self._began is not None and self.time_left() <= 0
            self.is_over |= is_late
        return is_late

    def stand_in(self, reason: str) -> None:
        """Let what the rule says of failures stand for what was not judged.

        Raises:
            MeshError: SAFETY_UNAVAILABLE, where it fails closed.
        """
        self.is_over = True
        passage, found = self._looked_at[0]
        found += self._asking.unjudged(self.rule, passage.text, reason)

    def _all_steps(self) -> Iterator[tuple[list[Judged], list[Judged]]]:
        """Yield what each step finds, behind the list of what the rule finds in that passage."""
        for passage, found in self._looked_at:
            for judged in self._judged(passage.text):
                if passage.is_opaque:
                    yield found, _in_identity(judged)
                else:
                    yield found, judged if passage.pieces else _in_name(judged)

    def _judged(self, text: Text) -> Iterator[list[Judged]]:
        def ask(text: Text) -> list[Judged]:
            return self._asking.ask(self.rule, text, self._allowed)

        if self.rule.kind in _BY_PIECES:
            return judged_by_pieces(text, self.rule.detector.reach, ask)
        return iter((ask(text),))

    def _end(self) -> None:
        self.is_over = True
        if self._looked_at:
            source = self._looked_at[0][0].text.source
            direction = OUTPUT if source == Source.ANSWER else INPUT
            self._asking.metrics.took(self.rule.detector.name, direction, self._took_s)


def _in_identity(judged: Sequence[Judged]) -> list[Judged]:
    """Judge what is found in what is only compared: a hash stands for it, so nothing is blocked."""
    return [one._replace(action=min(one.action, PSEUDONYMISE)) for one in judged]


def _in_name(judged: Sequence[Judged]) -> list[Judged]:
    """Judge what is found in a name that cannot change."""
    return [
        one._replace(action=BLOCK) if one.action in REWRITING else one
        for one in judged
        if one.action not in REWRITING or one.finding.score >= _SURE
    ]
