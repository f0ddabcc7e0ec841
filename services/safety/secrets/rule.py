"""What a rule for secrets is."""

from collections.abc import Callable
from typing import NamedTuple

SURE = 0.95
"""Nothing else looks like it."""
LIKELY = 0.8
"""It is told by what stands around it, and looks random."""
PLAUSIBLE = 0.6
"""It is told by one of both."""
THRESHOLD = 0.5
"""The score from which findings count."""
HINT = 0.5
"""It names an account or a place, and opens nothing by itself; a threshold above passes it."""


class Rule(NamedTuple):
    """A form that secrets take."""

    category: str
    """What the secret is, in lower snake case."""
    pattern: str
    """In RE2's syntax, over ASCII. The secret is the first group that took part, or all of it."""
    score: float = SURE
    """How sure its matches are, from 0 to 1."""
    check: Callable[[str], float | None] | None = None
    """Looks closer at a secret: the score instead of `score`, or None where it is none."""
