"""Answers in bounded memory: the least recently used leave first, and none outlives its time."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.cache.key import Key
from services.cache.metrics import CacheMetrics

Clock = Callable[[], float]
"""Gives seconds that never go backwards."""

_ENTRY_BYTES = 600
"""What an entry takes beside its events: its key, its objects, its place in the order."""
_LARGEST_SHARE = 16
"""One answer takes at most one part in so many, so that none empties the store."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer."""

    events: Sequence[bytes]
    """The deltas and `finished`, as they came."""
    size_bytes: int
    stored_at: float
    """When, by the store's clock."""


def event_bytes(event: bytes) -> int:
    """Return the memory that one event takes, with the reference to it."""
    return sys.getsizeof(event) + 8


class Store:
    """Answers by key, within `max_bytes` of memory in all; none is kept when that is 0."""

    def __init__(self, max_bytes: int, ttl_s: float, clock: Clock, metrics: CacheMetrics) -> None:
        self.max_bytes = max_bytes
        self.max_events_bytes = max_bytes // _LARGEST_SHARE - _ENTRY_BYTES
        """The most that the events of one answer may take; a larger one is not stored."""
        self._ttl_s = ttl_s
        self._clock = clock
        self._metrics = metrics
        self._size_bytes = 0
        self._entries: OrderedDict[Key, Entry] = OrderedDict()

    def age_s(self, entry: Entry) -> float:
        """Return how old an answer is."""
        return self._clock() - entry.stored_at

    def get(self, key: Key) -> Entry | None:
        """Return the answer, unless there is none or it is too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self.age_s(entry) >= self._ttl_s:
            self.remove(key, "expired")
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: Key, events: Sequence[bytes]) -> None:
        """Store an answer in place of the one there was, and make room for it."""
        size_bytes = _ENTRY_BYTES + sum(map(event_bytes, events))
        if key in self._entries:
            self.remove(key, "replaced")
        self._entries[key] = Entry(events, size_bytes, self._clock())
        self._size_bytes += size_bytes
        while self._size_bytes > self.max_bytes:
            self.remove(next(iter(self._entries)), "capacity")
        self._measure()

    def remove(self, key: Key, cause: str) -> None:
        """Take an answer out; `cause` says why, to be counted."""
        self._size_bytes -= self._entries.pop(key).size_bytes
        self._metrics.evictions.labels(cause).inc()
        self._measure()

    def _measure(self) -> None:
        self._metrics.entries.set(len(self._entries))
        self._metrics.size.set(self._size_bytes)
