"""How whoever prepares a model tells what it does."""

from typing import Protocol


class Report(Protocol):
    """Hears how far the work is."""

    def __call__(self, task: str, done: int, total: int) -> None:
        """Hear of a task, for example `downloading`; `done` of `total` in its own unit."""


def silent(task: str, done: int, total: int) -> None:
    """Tell nobody."""
