"""Whatever comes, ends, leaves or yields: the limits, the books and the order hold."""

import math
from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infra.engine.admission import Demand, Displaced, QueueFullError, TooLateError
from tests.infra.desk import TOKENS, desk


class AnyCourse(RuleBasedStateMachine):
    """Requests come, end, leave and are refused in any order, while engines die and come back."""

    SEQUENCES, WAITING, WAITING_TOKENS = 4, 5, 1500

    def __init__(self) -> None:
        super().__init__()
        self.at = desk(self.SEQUENCES, self.WAITING, waiting_tokens=self.WAITING_TOKENS)
        self.demands: dict[int, Demand] = {}
        self.order: list[tuple[float, int]] = []
        self.is_open = True
        self.seen = 0
        self.next = 0

    @rule(
        sequences=st.integers(1, 4),
        tokens=st.integers(1, TOKENS),
        priority=st.integers(0, 9),
        patience_s=st.floats(0, 100) | st.just(math.inf),
    )
    def enter(self, sequences: int, tokens: int, priority: int, patience_s: float) -> None:
        identity, self.next = self.next, self.next + 1
        latest_s = self.at.clock.now + patience_s
        before = self.at.admission.waiting_ones()
        refusal: QueueFullError | TooLateError | None = None
        displaced: Sequence[Displaced] = ()
        try:
            displaced = self.at.enter(identity, sequences, tokens, priority, latest_s)
            self.demands[identity] = Demand(sequences, tokens, priority, latest_s)
        except (QueueFullError, TooLateError) as error:
            refusal = error
        for each, last in zip(displaced, reversed(before), strict=False):
            assert each.identity == last, "the last in line goes first"
            assert self.demands.pop(last).priority > priority, "no equal has to yield"
            assert 0.1 <= each.retry_after_s <= 60
        kept = before[: len(before) - len(displaced)]
        now = [each for each in self.at.admission.waiting_ones() if each != identity]
        assert now == kept, "all others stay, in their order"
        if isinstance(refusal, QueueFullError):
            assert 0.1 <= refusal.retry_after_s <= 60
            assert self.at.admission.waiting
        assert not isinstance(refusal, TooLateError) or patience_s < math.inf

    @precondition(lambda self: self.demands)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        identity = data.draw(st.sampled_from(sorted(self.demands)))
        del self.demands[identity]
        self.at.admission.leave(identity)

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.at.clock.now += seconds

    @rule()
    def engine_dies(self) -> None:
        self.is_open = False
        self.at.admission.close()
        self.seen = len(self.at.begun)

    @rule()
    def engine_comes_back(self) -> None:
        self.is_open = True
        self.at.admission.open(TOKENS)

    @invariant()
    def limits_hold_and_the_books_are_right(self) -> None:
        admission, begun = self.at.admission, set(self.at.begun)
        assert len(begun) == len(self.at.begun), "nobody begins twice"
        running = [demand for each, demand in self.demands.items() if each in begun]
        waiting = [demand for each, demand in self.demands.items() if each not in begun]
        assert admission.running == sum(demand.sequences for demand in running) <= self.SEQUENCES
        assert admission.running_tokens == sum(demand.tokens for demand in running) <= TOKENS
        assert admission.waiting == len(waiting) <= self.WAITING
        tokens = sum(demand.tokens for demand in waiting)
        assert admission.waiting_tokens == tokens <= self.WAITING_TOKENS
        assert admission.waiting_sequences == sum(demand.sequences for demand in waiting)

    @invariant()
    def nobody_begins_while_the_engine_is_down_and_somebody_does_while_there_is_room(self) -> None:
        if not self.is_open:
            assert len(self.at.begun) == self.seen
        elif waiting := self.at.admission.waiting_ones():
            first, admission = self.demands[waiting[0]], self.at.admission
            assert (
                admission.running + first.sequences > self.SEQUENCES
                or admission.running_tokens + first.tokens > TOKENS
            )

    @invariant()
    def those_of_one_priority_wait_in_order_of_arrival(self) -> None:
        waiting = self.at.admission.waiting_ones()
        for priority in range(10):
            alike = [each for each in waiting if self.demands[each].priority == priority]
            assert alike == sorted(alike)

    def teardown(self) -> None:
        self.at.admission.open(TOKENS)
        while self.demands:
            running = [each for each in self.at.begun if each in self.demands]
            assert running, "whoever waits gets a place in the end"
            for identity in running:
                del self.demands[identity]
                self.at.admission.leave(identity)
        assert (self.at.admission.running, self.at.admission.waiting) == (0, 0)


TestAnyCourse = AnyCourse.TestCase
TestAnyCourse.settings = settings(deadline=None, max_examples=200, stateful_step_count=40)
