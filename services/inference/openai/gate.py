"""The bound on the calls that are in flight to one server."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services import errors

_FIRST_GUESS_S = 1.0
_SHORTEST_S = 0.1
_WEIGHT_OF_NEWEST = 0.1


@dataclass(slots=True)
class Gate:
    """Lets so many calls through at once, and refuses the others: the server has its own queue."""

    model: str
    max_calls: int
    clock: Callable[[], float] = time.monotonic
    in_flight: int = 0
    _mean_s: float = _FIRST_GUESS_S

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Hold a place for a call.

        Raises:
            MeshError: QUEUE_FULL, which tells when a place should be free by the pace of late.
        """
        if self.in_flight >= self.max_calls:
            wait_s = self._mean_s / self.max_calls
            raise errors.queue_full(self.model, max(wait_s, _SHORTEST_S))
        began = self.clock()
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            took_s = self.clock() - began
            self._mean_s += _WEIGHT_OF_NEWEST * (took_s - self._mean_s)
