"""Who may use the engine now, who waits for it, and who is told to come back later."""

import bisect
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

_FIRST_GUESS_S = 1.0
_SHORTEST_S = 0.1
_LONGEST_S = 60.0
_WEIGHT_OF_NEWEST = 0.1


@dataclass(slots=True, eq=False)
class QueueFullError(Exception):
    """As many requests wait as may."""

    retry_after_s: float
    """When, by the pace of late, the queue will have been worked off."""


class _Waiter(NamedTuple):
    priority: int
    order: int
    identity: int
    sequences: int
    begin: Callable[[], None]


class _Place(NamedTuple):
    sequences: int
    began_s: float


@dataclass(slots=True)
class Admission:
    """Hands out the engine's places: by priority, then in order of arrival, passing nobody over."""

    max_sequences: int
    """The most sequences in the engine at once."""
    max_waiting: int
    """The most requests that wait."""
    clock: Callable[[], float]
    """Seconds, from any start."""
    running: int = 0
    """How many sequences are in the engine."""
    _places: dict[int, _Place] = field(default_factory=dict[int, _Place])
    _queue: list[_Waiter] = field(default_factory=list[_Waiter])
    _orders: "itertools.count[int]" = field(default_factory=itertools.count)
    _mean_s: float = _FIRST_GUESS_S

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    def enter(
        self, identity: int, sequences: int, priority: int, begin: Callable[[], None]
    ) -> None:
        """Call `begin` now, or once there is room; the lowest `priority` goes first.

        Raises:
            QueueFullError: as many requests wait as may.
        """
        waiter = _Waiter(priority, next(self._orders), identity, sequences, begin)
        if not self._queue and self._fits(waiter):
            self._admit(waiter)
        elif len(self._queue) < self.max_waiting:
            bisect.insort(self._queue, waiter)
        else:
            raise QueueFullError(self._retry_after_s())

    def leave(self, identity: int) -> None:
        """Give the place up, or stop waiting for one; begin whoever fits now."""
        place = self._places.pop(identity, None)
        if place is None:
            self._queue = [waiter for waiter in self._queue if waiter.identity != identity]
        else:
            self.running -= place.sequences
            took_s = self.clock() - place.began_s
            self._mean_s += _WEIGHT_OF_NEWEST * (took_s - self._mean_s)
        while self._queue and self._fits(self._queue[0]):
            self._admit(self._queue.pop(0))

    def _fits(self, waiter: _Waiter) -> bool:
        return self.running + waiter.sequences <= self.max_sequences

    def _admit(self, waiter: _Waiter) -> None:
        self._places[waiter.identity] = _Place(waiter.sequences, self.clock())
        self.running += waiter.sequences
        waiter.begin()

    def _retry_after_s(self) -> float:
        sequences = sum(waiter.sequences for waiter in self._queue)
        queue_s = self._mean_s * (sequences + 1) / self.max_sequences
        return min(max(queue_s, _SHORTEST_S), _LONGEST_S)
