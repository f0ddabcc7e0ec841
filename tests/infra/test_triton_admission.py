"""Who gets a place in the engine, and when."""

import pytest

from infra.engine.admission import QueueFullError, TooLateError
from tests.fakes import Clock
from tests.infra.desk import TOKENS, desk


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


def test_in_a_full_queue_the_last_in_line_yields_to_a_higher_priority() -> None:
    at = desk(1, 3)
    for identity, priority in ((0, 5), (1, 9), (2, 5), (3, 9)):
        at.enter(identity, priority=priority)
    with pytest.raises(QueueFullError):
        at.enter(4, priority=9)
    (first,) = at.enter(5, priority=0)
    (second,) = at.enter(6, priority=5)
    assert (first.identity, second.identity) == (3, 1)
    with pytest.raises(QueueFullError):
        at.enter(7, priority=5)
    assert at.admission.waiting_ones() == [5, 2, 6]


def test_whoever_has_waited_longer_than_the_levels_between_are_worth_yields_to_nobody() -> None:
    at = desk(1, 1)
    at.enter(0)
    at.enter(1, priority=9)
    at.clock.now += 18
    with pytest.raises(QueueFullError):
        at.enter(2, priority=0)
    assert at.admission.waiting_ones() == [1]


def test_as_many_yield_as_the_tokens_take_or_nobody() -> None:
    at = desk(1, 8, waiting_tokens=10)
    at.enter(0)
    for identity, priority in ((1, 1), (2, 9), (3, 9)):
        at.enter(identity, tokens=3, priority=priority)
    with pytest.raises(QueueFullError):
        at.enter(4, tokens=8, priority=5)
    assert at.admission.waiting_ones() == [1, 2, 3]
    assert [each.identity for each in at.enter(5, tokens=6, priority=5)] == [3, 2]
    assert at.admission.waiting_ones() == [1, 5]


def test_nobody_yields_to_one_who_would_come_too_late() -> None:
    at = desk(1, 2)
    for identity in range(50):
        at.serve(identity, 4)
    at.enter(50)
    at.enter(51, priority=4)
    at.enter(52, priority=9)
    with pytest.raises(TooLateError):
        at.enter(53, latest_s=at.clock.now + 4.1)
    assert at.admission.waiting_ones() == [51, 52]


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
