"""How many calls are served at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from services import errors


class Places:
    """Lets so many calls in, and refuses the next at once: nothing waits here."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a place.

        Raises:
            MeshError: OVERLOADED, when every place is taken.
        """
        if self._taken >= self._limit:
            raise errors.overloaded("gateway")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
