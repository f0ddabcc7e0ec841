"""Who may use the engine now, who waits for it, and who is told to come back later.

A request takes as many tokens as it may come to: its prompts and the most that it may generate.
So the KV cache holds whatever is in the engine, and nobody who was admitted is given up for want
of it.
"""

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from infra.engine.pace import Pace

_FIRST_GUESS_S = 1.0
_SHORTEST_S = 0.1
_LONGEST_S = 60.0
_LEVEL_S = 2.0
"""A level of priority is worth so much waiting: whoever has waited for 18 s longer than another
goes first at any priority, so nobody starves."""


@dataclass(slots=True, eq=False)
class QueueFullError(Exception):
    """As many requests or tokens wait as may."""

    retry_after_s: float
    """When, by the pace of late, a place will be free."""


class TooLateError(Exception):
    """By the pace of late, the request cannot begin in time."""


class Demand(NamedTuple):
    """What a request needs of the engine."""

    sequences: int
    tokens: int
    """Prompts and outputs of all its sequences, at most."""
    priority: int
    """The lowest number is the highest priority, and goes first."""
    latest_s: float
    """By when it must begin, on the clock; infinity if it need not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is admitted at most."""

    sequences: int
    """In the engine."""
    tokens: int
    """In the engine; 0 for what its KV cache holds."""
    waiting: int
    """Requests that wait."""
    waiting_tokens: int
    """The tokens of those that wait."""


class Displaced(NamedTuple):
    """A request that had to yield its place in the queue."""

    identity: int
    retry_after_s: float
    """When, by the pace of late, a place will be free."""


class _Waiter(NamedTuple):
    rank_s: float
    order: int
    demand: Demand
    begin: Callable[[], None]


@dataclass(slots=True)
class Admission:
    """Hands out the engine's places: by priority, then in order of arrival, passing nobody over."""

    limits: Limits
    clock: Callable[[], float]
    """Seconds, from any start."""
    max_tokens: int = 0
    """The most tokens in the engine; known when the engine is up."""
    running: int = 0
    """How many sequences are in the engine."""
    running_tokens: int = 0
    """What they take, at most."""
    waiting_sequences: int = 0
    """How many sequences wait."""
    waiting_tokens: int = 0
    """What they need."""
    _is_open: bool = False
    _places: dict[int, Demand] = field(default_factory=dict[int, Demand])
    _waiters: dict[int, _Waiter] = field(default_factory=dict[int, _Waiter])
    _queue: list[tuple[float, int, int]] = field(default_factory=list[tuple[float, int, int]])
    """Those that wait, in order: rank, order of arrival, identity."""
    _orders: "itertools.count[int]" = field(default_factory=itertools.count)
    _pace: Pace = field(default_factory=Pace)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    def enter(
        self, identity: int, demand: Demand, begin: Callable[[], None]
    ) -> Sequence[Displaced]:
        """Call `begin` now, or once there is room; the demand is within the limits by itself.

        In a full queue, those that would go last yield their places to whoever goes before them,
        which only one of a higher priority does. They are returned, and wait no more.

        Raises:
            QueueFullError: as many requests or tokens wait as may.
            TooLateError: it could not begin in time.
        """
        now_s = self.clock()
        rank_s = now_s + demand.priority * _LEVEL_S
        is_first = not self._queue or rank_s < self._queue[0][0]
        if is_first and self._is_open and self._fits(demand):
            self._admit(identity, demand, begin)
            return []
        yielding = self._yielding(demand, rank_s)
        if now_s + self._wait_s(demand, rank_s) > demand.latest_s:
            raise TooLateError
        displaced = [self._displace(last) for last in yielding]
        order = next(self._orders)
        self._waiters[identity] = _Waiter(rank_s, order, demand, begin)
        bisect.insort(self._queue, (rank_s, order, identity))
        self.waiting_sequences += demand.sequences
        self.waiting_tokens += demand.tokens
        return displaced

    def leave(self, identity: int) -> None:
        """Give the place up, or stop waiting for one; begin whoever fits now."""
        place = self._places.pop(identity, None)
        if place is not None:
            self.running -= place.sequences
            self.running_tokens -= place.tokens
            self._pace.give_back(
                self.clock(), place.sequences, place.tokens, is_idle=not self.running
            )
        elif identity in self._waiters:
            waiter = self._forget(identity)
            del self._queue[bisect.bisect_left(self._queue, (waiter.rank_s, waiter.order, 0))]
        self._admit_waiting()

    def close(self) -> None:
        """Admit nobody: the engine is down."""
        self._is_open = False

    def open(self, kv_cache_tokens: int) -> None:
        """Admit, and first those that wait: the engine is up."""
        self._is_open = True
        self.max_tokens = self.limits.tokens or kv_cache_tokens
        self._admit_waiting()

    def sequences_per_s(self) -> float:
        """Return the pace of late at which sequences end."""
        return self._pace.sequences_per_s(self.clock())

    def waiting_ones(self) -> list[int]:
        """Return those that wait, in order."""
        return [identity for _, _, identity in self._queue]

    def _admit_waiting(self) -> None:
        while self._queue and self._is_open:
            identity = self._queue[0][2]
            if not self._fits(self._waiters[identity].demand):
                break
            del self._queue[0]
            waiter = self._forget(identity)
            self._admit(identity, waiter.demand, waiter.begin)

    def _yielding(self, demand: Demand, rank_s: float) -> Sequence[int]:
        """Return who must yield for a newcomer of this rank to wait, the last in line first.

        Raises:
            QueueFullError: there are not enough behind it.
        """
        requests = len(self._queue) + 1 - self.limits.waiting
        tokens = self.waiting_tokens + demand.tokens - self.limits.waiting_tokens
        yielding: list[int] = []
        for last_rank_s, _, last in reversed(self._queue):
            if (requests <= 0 and tokens <= 0) or last_rank_s <= rank_s:
                break
            yielding.append(last)
            requests -= 1
            tokens -= self._waiters[last].demand.tokens
        if requests > 0 or tokens > 0:
            raise QueueFullError(self._retry_after_s(demand))
        return yielding

    def _displace(self, last: int) -> Displaced:
        """Take the place of the last in line."""
        del self._queue[-1]
        return Displaced(last, self._retry_after_s(self._forget(last).demand))

    def _forget(self, identity: int) -> _Waiter:
        waiter = self._waiters.pop(identity)
        self.waiting_sequences -= waiter.demand.sequences
        self.waiting_tokens -= waiter.demand.tokens
        return waiter

    def _fits(self, demand: Demand) -> bool:
        return (
            self.running + demand.sequences <= self.limits.sequences
            and self.running_tokens + demand.tokens <= self.max_tokens
        )

    def _admit(self, identity: int, demand: Demand, begin: Callable[[], None]) -> None:
        self._places[identity] = demand
        self.running += demand.sequences
        self.running_tokens += demand.tokens
        self._pace.begin(self.clock())
        begin()

    def _wait_s(self, demand: Demand, rank_s: float) -> float:
        """Return how long a newcomer of this rank will wait; 0 before anything was measured."""
        if math.isinf(demand.latest_s):
            return 0.0
        ahead = self._queue[: bisect.bisect(self._queue, (rank_s, math.inf, 0))]
        demands = [self._waiters[identity].demand for _, _, identity in ahead]
        sequences = sum(ahead.sequences for ahead in demands)
        tokens = sum(ahead.tokens for ahead in demands)
        return self._seconds_until(demand, sequences, tokens) or 0.0

    def _retry_after_s(self, demand: Demand) -> float:
        wait_s = self._seconds_until(demand, self.waiting_sequences, self.waiting_tokens)
        return min(max(_FIRST_GUESS_S if wait_s is None else wait_s, _SHORTEST_S), _LONGEST_S)

    def _seconds_until(self, demand: Demand, sequences: int, tokens: int) -> float | None:
        """Return when a demand fits, so many sequences and tokens being before it."""
        return self._pace.seconds_for(
            self.clock(),
            sequences + demand.sequences + self.running - self.limits.sequences,
            tokens + demand.tokens + self.running_tokens - self.max_tokens,
        )
