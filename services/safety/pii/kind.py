"""What a recogniser of one kind of number, code or address is: a row of a table."""

from collections.abc import Callable
from typing import NamedTuple


class Kind(NamedTuple):
    """One form that one kind of personal data takes."""

    category: str
    pattern: str
    """In RE2's syntax, of a bounded length; what it matches stands between words' edges."""
    score: float
    """How sure its form alone makes, its check having passed. What carries check digits and has
    nine characters or more reaches the threshold alone."""
    check: Callable[[str], bool] | None = None
    """Takes the letters and digits of a match, in capitals; all of a match where the pattern sees
    to its edges."""
    context: str = ""
    """Words, as alternatives in RE2's syntax, that make it surer when they stand near."""
    case: bool = False
    """Whether capitals count."""
    edged: bool = False
    """Whether the pattern sees to its edges itself, and has one group for what counts."""
