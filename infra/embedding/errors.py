"""What embedding texts can fail with, beside a model that breaks."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class QueueFullError(Exception):
    """More texts wait than may."""

    retry_after_s: float
    """When those that wait now will have been computed."""


@dataclass(slots=True, eq=False)
class TextTooLongError(Exception):
    """A text has more tokens than the model reads."""

    index: int
    """Which of the texts."""
    tokens: int
    max_tokens: int
