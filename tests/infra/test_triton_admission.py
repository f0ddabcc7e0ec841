"""Who gets a place in the engine, and when."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infra.engine.admission import Admission, Demand, Limits, QueueFullError, TooLateError
from tests.fakes import Clock

TOKENS = 1000


@dataclass
class Desk:
    """An admission, and who has begun."""

    limits: Limits
    clock: Clock = field(default_factory=Clock)
    begun: list[int] = field(default_factory=list)
    admission: Admission = field(init=False)

    def __post_init__(self) -> None:
        self.admission = Admission(self.limits, self.clock)
        self.admission.open(TOKENS)

    def enter(
        self,
        identity: int,
        sequences: int = 1,
        tokens: int = 1,
        priority: int = 5,
        latest_s: float = math.inf,
    ) -> None:
        demand = Demand(sequences, tokens, priority, latest_s)
        self.admission.enter(identity, demand, lambda: self.begun.append(identity))

    def serve(self, identity: int, seconds: float, tokens: int = 1) -> None:
        """Have one request come and go."""
        self.enter(identity, tokens=tokens)
        self.clock.now += seconds
        self.admission.leave(identity)


def desk(sequences: int, waiting: int, *, tokens: int = 0, waiting_tokens: int = 10_000) -> Desk:
    return Desk(Limits(sequences, tokens, waiting, waiting_tokens))


def test_the_highest_priority_goes_first_then_who_came_first() -> None:
    at = desk(1, 8)
    for identity, priority in ((0, 5), (1, 5), (2, 5), (3, 0), (4, 9)):
        at.enter(identity, priority=priority)
    for identity in (0, 3, 1, 2, 4):
        assert at.begun[-1] == identity
        at.admission.leave(identity)
    assert (at.admission.running, at.admission.waiting) == (0, 0)


def test_whoever_waits_is_not_passed_over_for_ever() -> None:
    at = desk(1, 100)
    at.enter(0)
    at.enter(1, priority=9)
    for identity in range(2, 40):
        at.enter(identity, priority=0)
        at.clock.now += 1
        at.admission.leave(at.begun[-1])
        if at.begun[-1] == 1:
            break
    # Nine levels are worth eighteen seconds.
    assert at.begun[-1] == 1
    assert at.clock.now - Clock().now <= 20


def test_a_wide_request_is_not_passed_over_by_narrow_ones() -> None:
    at = desk(4, 8)
    at.enter(0, sequences=3)
    at.enter(1, sequences=4)
    at.enter(2, sequences=1)
    assert at.begun == [0]
    at.admission.leave(0)
    assert at.begun == [0, 1]
    at.admission.leave(1)
    assert at.begun == [0, 1, 2]


def test_tokens_are_limited_to_what_the_engine_holds_and_to_what_is_configured() -> None:
    held, configured = desk(8, 8), desk(8, 8, tokens=10)
    for at, most in ((held, TOKENS), (configured, 10)):
        at.enter(0, tokens=most)
        at.enter(1, tokens=1)
        assert at.begun == [0]
        at.admission.leave(0)
        assert at.begun == [0, 1]


def test_the_tokens_that_wait_are_limited() -> None:
    at = desk(1, 8, waiting_tokens=10)
    at.enter(0)
    at.enter(1, tokens=10)
    with pytest.raises(QueueFullError):
        at.enter(2, tokens=1)
    at.admission.leave(1)
    at.enter(3, tokens=10)


def test_a_full_queue_tells_when_it_will_have_been_worked_off() -> None:
    at = desk(1, 2)
    for identity in range(50):
        at.serve(identity, 4)
    for identity in (50, 51, 52):
        at.enter(identity)
    with pytest.raises(QueueFullError) as caught:
        at.enter(53)
    # Three before it, at 4 s each.
    assert caught.value.retry_after_s == pytest.approx(12)


def test_tokens_too_tell_when_the_queue_will_have_been_worked_off() -> None:
    at = desk(64, 1)
    for identity in range(50):
        at.serve(identity, 1, tokens=100)
    at.enter(50, tokens=TOKENS)
    at.enter(51, tokens=500)
    with pytest.raises(QueueFullError) as caught:
        at.enter(52, tokens=300)
    # At 100 tokens a second, the place of 800 is free in 8 s.
    assert caught.value.retry_after_s == pytest.approx(8)


def test_an_engine_that_gives_nothing_back_is_not_thought_fast() -> None:
    at = desk(1, 1)
    for identity in range(50):
        at.serve(identity, 0.1)
    at.enter(50)
    at.enter(51)
    told = []
    for _ in range(2):
        with pytest.raises(QueueFullError) as caught:
            at.enter(52)
        told.append(caught.value.retry_after_s)
        at.clock.now += 10
    assert told[0] == pytest.approx(0.2)
    assert told[1] > 2 * told[0]


def test_who_cannot_begin_in_time_is_told_at_once() -> None:
    at = desk(1, 8)
    for identity in range(50):
        at.serve(identity, 4)
    at.enter(50)
    at.enter(51, latest_s=at.clock.now + 4.1)
    with pytest.raises(TooLateError):
        at.enter(52, latest_s=at.clock.now + 4.1)
    # Nobody else stands before the highest priority.
    at.enter(53, priority=0, latest_s=at.clock.now + 4.1)
    assert at.admission.waiting == 2


def test_before_anything_is_known_nobody_is_too_late() -> None:
    at = desk(1, 8)
    at.enter(0)
    at.enter(1, latest_s=at.clock.now + 0.001)
    assert at.admission.waiting == 1


def test_who_stops_waiting_makes_room_for_another() -> None:
    at = desk(1, 1)
    at.enter(0)
    at.enter(1)
    at.admission.leave(1)
    at.enter(2)
    at.admission.leave(0)
    assert at.begun == [0, 2]


def test_while_the_engine_is_down_those_that_wait_keep_their_order() -> None:
    at = desk(2, 8)
    for identity in range(4):
        at.enter(identity)
    at.admission.close()
    at.admission.leave(0)
    at.admission.leave(1)
    assert at.begun == [0, 1]
    assert at.admission.waiting_ones() == [2, 3]
    at.admission.open(TOKENS)
    assert at.begun == [0, 1, 2, 3]


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
        refusal: QueueFullError | TooLateError | None = None
        try:
            self.at.enter(identity, sequences, tokens, priority, latest_s)
            self.demands[identity] = Demand(sequences, tokens, priority, latest_s)
        except (QueueFullError, TooLateError) as error:
            refusal = error
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
