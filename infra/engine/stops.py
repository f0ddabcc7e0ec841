"""Stop texts: where one ends a text, and how much of a text cannot become one."""

from collections.abc import Sequence


def first(text: str, stops: Sequence[str]) -> tuple[int, str] | None:
    """Return where the first stop text begins, and which it is.

    It is the one that is complete first, so that it does not matter how the text was cut.
    """
    found = [(at, stop) for stop in stops if (at := text.find(stop)) >= 0]
    return min(found, key=lambda match: (match[0] + len(match[1]), match[0]), default=None)


def safe_length(text: str, stops: Sequence[str]) -> int:
    """Return how much of a text without stop texts no further text can make part of one."""
    longest = max(map(len, stops), default=0)
    for start in range(max(0, len(text) - longest + 1), len(text)):
        tail = text[start:]
        if any(stop.startswith(tail) for stop in stops):
            return start
    return len(text)
