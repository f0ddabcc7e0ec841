"""Has the detectors look at the texts of a request: off the event loop, and each within its time.

A detector that throws, or is late, stands for what its rule says; the others are not touched by it.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from services.safety.detector import Text
from services.safety.metrics import ERROR, LATE, SafetyMetrics
from services.safety.passages import Passage
from services.safety.profile import BLOCK, REWRITING, Rule
from services.safety.stream.rules import Judged

_QUICK = {"deny_list", "deny", "characters", "length", "links"}
_QUICK_CHARS = 1000
"""What costs less than a thread, which takes 0.1 ms: these detectors, with so little to read."""

_SURE = 0.9
"""From which score on something counts in a name that cannot change: there it has to be blocked,
and a name is made of words that mean nothing."""

Found = list[list[Judged]]
"""What was found, by passage."""


class Looking:
    """The threads in which detectors look."""

    def __init__(self, metrics: SafetyMetrics, workers: int = 0) -> None:
        self.metrics = metrics
        self._threads = ThreadPoolExecutor(workers or os.cpu_count() or 1, "safety")

    async def look(
        self, rules: Sequence[Rule], passages: Sequence[Passage], allowed: frozenset[str]
    ) -> Found:
        """Return what the rules find, with all that counts as found because it could not be judged.

        Rules run one after another: they share the forms of a text, and one pass of the classifier.
        """
        found: Found = [[] for _ in passages]
        if _is_quick(rules, passages):
            course = _Course(self, rules, passages, allowed)
            course.run()
            _gather(course, found)
            return found
        while rules:
            course = _Course(self, rules, passages, allowed)
            await self._follow(course)
            _gather(course, found)
            rules = rules[len(course.done) :]
        return found

    def judged(self, rule: Rule, text: Text, allowed: frozenset[str]) -> list[Judged]:
        """Have a rule look at one text at once, in this thread."""
        try:
            return rule.judged(text, allowed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the detector cannot tell
            self.metrics.failed(rule.detector.name, ERROR, type(error).__name__)
            return rule.unjudged(text)

    def judged_in_time(self, rule: Rule, text: Text, allowed: frozenset[str]) -> list[Judged]:
        """Have a rule look at one text in another thread; wait no longer than the rule may take."""
        looking = self._threads.submit(self.judged, rule, text, allowed)
        try:
            return looking.result(rule.deadline_s)
        except TimeoutError:
            looking.cancel()
            self.metrics.failed(rule.detector.name, LATE)
            return rule.unjudged(text)

    def close(self) -> None:
        """Let no more look; a detector that is stuck is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _follow(self, course: "_Course") -> None:
        """Wait until every rule has looked, or the one that looks is late."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, course.run)
        try:
            while not running.done():
                looked = len(course.done)
                _, waiting = await asyncio.wait([running], timeout=course.time_left())
                if waiting and len(course.done) == looked and course.time_left() <= 0:
                    course.give_up()
                    return
            await running
        finally:
            course.abandoned = True
            running.cancel()


class _Course:
    """One passage of a thread through the rules."""

    def __init__(
        self,
        looking: Looking,
        rules: Sequence[Rule],
        passages: Sequence[Passage],
        allowed: frozenset[str],
    ) -> None:
        self.passages = passages
        self.done: list[Found] = []
        """What each rule found, as far as they have come."""
        self.abandoned = False
        """Nobody waits any more."""
        self._rules = rules
        self._allowed = allowed
        self._looking = looking
        self._has_begun = False
        self._rule_began = time.perf_counter()

    def time_left(self) -> float:
        """Return how long the rule that looks now may take on, in seconds."""
        rule = self._rules[min(len(self.done), len(self._rules) - 1)]
        return max(0.0, self._rule_began + rule.deadline_s - time.perf_counter())

    def run(self) -> None:
        """Have one rule after another look."""
        self._has_begun = True
        for rule in self._rules:
            self._rule_began = began = time.perf_counter()
            found = [self._judged(rule, passage) for passage in self.passages]
            if self.abandoned:
                return
            seconds = self._looking.metrics.seconds.labels(rule.detector.name)
            seconds.observe(time.perf_counter() - began)
            self.done.append(found)

    def give_up(self) -> None:
        """Go on without the rule that is late; without all, when no thread was free for them."""
        self.abandoned = True
        looked = len(self.done)
        late = self._rules[looked : looked + 1] if self._has_begun else self._rules
        for rule in late:
            self._looking.metrics.failed(rule.detector.name, LATE)
            self.done.append(
                [
                    rule.unjudged(passage.text) if rule.looks_at(passage.text.source) else []
                    for passage in self.passages
                ]
            )

    def _judged(self, rule: Rule, passage: Passage) -> list[Judged]:
        if not rule.looks_at(passage.text.source):
            return []
        judged = self._looking.judged(rule, passage.text, self._allowed)
        return judged if passage.pieces else _in_name(judged)


def _in_name(judged: Sequence[Judged]) -> list[Judged]:
    """Judge what is found in a name that cannot change."""
    return [
        one._replace(action=BLOCK) if one.action in REWRITING else one
        for one in judged
        if one.action not in REWRITING or one.finding.score >= _SURE
    ]


def _gather(course: _Course, found: Found) -> None:
    for of_rule in course.done:
        for whole, of_passage in zip(found, of_rule, strict=True):
            whole.extend(of_passage)


def _is_quick(rules: Sequence[Rule], passages: Sequence[Passage]) -> bool:
    chars = sum(len(passage.text.raw) for passage in passages)
    return chars <= _QUICK_CHARS and all(rule.kind in _QUICK for rule in rules)
