"""Who gets a place in the engine, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engine.admission import Admission, QueueFullError
from tests.fakes import Clock


def admission(max_sequences: int, max_waiting: int) -> tuple[Admission, list[int], Clock]:
    clock = Clock()
    return Admission(max_sequences, max_waiting, clock), [], clock


def enter(
    admitted: Admission, begun: list[int], identity: int, sequences: int = 1, priority: int = 5
) -> None:
    admitted.enter(identity, sequences, priority, lambda: begun.append(identity))


def test_the_highest_priority_goes_first_then_who_came_first() -> None:
    admitted, begun, _ = admission(1, 8)
    for identity, priority in ((0, 5), (1, 5), (2, 5), (3, 0), (4, 9)):
        enter(admitted, begun, identity, priority=priority)
    for identity in (0, 3, 1, 2, 4):
        assert begun[-1] == identity
        admitted.leave(identity)
    assert (admitted.running, admitted.waiting) == (0, 0)


def test_a_wide_request_is_not_passed_over_by_narrow_ones() -> None:
    admitted, begun, _ = admission(4, 8)
    enter(admitted, begun, 0, sequences=3)
    enter(admitted, begun, 1, sequences=4)
    enter(admitted, begun, 2, sequences=1)
    assert begun == [0]
    admitted.leave(0)
    assert begun == [0, 1]
    admitted.leave(1)
    assert begun == [0, 1, 2]


def test_a_full_queue_tells_when_it_will_have_been_worked_off() -> None:
    admitted, begun, clock = admission(1, 2)
    for identity in range(50):
        enter(admitted, begun, identity)
        clock.now += 4
        admitted.leave(identity)
    for identity in (50, 51, 52):
        enter(admitted, begun, identity)
    with pytest.raises(QueueFullError) as caught:
        enter(admitted, begun, 53)
    # Three before it, at nearly 4 s each.
    assert 11 < caught.value.retry_after_s < 12.1


def test_who_stops_waiting_makes_room_for_another() -> None:
    admitted, begun, _ = admission(1, 1)
    enter(admitted, begun, 0)
    enter(admitted, begun, 1)
    admitted.leave(1)
    enter(admitted, begun, 2)
    admitted.leave(0)
    assert begun == [0, 2]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9), st.booleans()), max_size=40))
def test_places_never_run_over_and_everybody_gets_one(
    requests: list[tuple[int, int, bool]],
) -> None:
    admitted, begun, _ = admission(4, 100)
    for identity, (sequences, priority, leaves) in enumerate(requests):
        enter(admitted, begun, identity, sequences, priority)
        assert admitted.running <= 4
        if leaves and begun:
            admitted.leave(begun[-1])
    while admitted.running:
        for identity in list(begun):
            admitted.leave(identity)
            assert admitted.running <= 4
    assert sorted(begun) == list(range(len(requests)))
