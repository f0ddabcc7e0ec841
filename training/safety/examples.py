"""What the classifier learns from: a text, and what is to be said of it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """A text with what is known about it."""

    text: str
    source: str
    """The data set, or the list of wordings, that it comes from."""
    targets: Mapping[str, float]
    """By output: 0 or 1, or the severity. What is not named is not known."""
    weight: float = 1.0
    cluster: str = ""
    """Rows of one cluster are much alike; empty for one of our own wordings."""
    attack: str = ""
    """The part of the text that is the attack; empty where all of it is, or that is not known."""
