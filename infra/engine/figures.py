"""What an engine counts; its host publishes it: Triton as its own metrics, a process as its."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Figures:
    """The figures of one model, as its serving keeps them."""

    running: int = 0
    """Sequences in the engine."""
    waiting: int = 0
    """Requests that wait for a place."""
    kv_cache_usage_ratio: float = 0.0
    """The share of the KV cache in use."""
    generated_tokens: int = 0
    """Tokens generated, ever."""
    abandoned_tokens: int = 0
    """Of these, at most so many after their caller had left."""


class Publisher(Protocol):
    """Shows figures to whoever collects metrics."""

    def publish(self, figures: Figures) -> None:
        """Show the figures as they are now."""
        ...
