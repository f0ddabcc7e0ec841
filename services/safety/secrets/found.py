"""What a rule finds in a text."""

from typing import NamedTuple


class Found(NamedTuple):
    """A secret: the bytes from `start` to `end`."""

    start: int
    end: int
    category: str
    score: float
