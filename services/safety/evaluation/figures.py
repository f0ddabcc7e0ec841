"""Figures over labelled rows: recall at a share of false alarms, and how sure a share is."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

# Of the normal distribution: 95 % lie within.
_Z = 1.96


class Share(NamedTuple):
    """How many of how many, with the 95 % interval of Wilson (1927)."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share itself; 0 of none."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies."""
        return wilson(self.hits, self.of)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({low:.1%}-{high:.1%}, {self.hits} of {self.of})"


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is not JSON.
    """
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    if not n:
        return 0.0, 1.0
    share, square = hits / n, _Z * _Z / n
    middle = share + square / 2
    spread = _Z * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return (middle - spread) / (1 + square), (middle + spread) / (1 + square)


def threshold_at(false_alarms: float, harmless: Sequence[float]) -> float:
    """Return the lowest score which at most that share of the harmless rows reach or exceed."""
    ordered = sorted(harmless, reverse=True)
    allowed = math.floor(false_alarms * len(ordered))
    if allowed >= len(ordered):
        return 0.0
    return math.nextafter(ordered[allowed], math.inf)


def reached(scores: Sequence[float], threshold: float) -> Share:
    """Return how many scores reach a threshold."""
    return Share(sum(score >= threshold for score in scores), len(scores))
