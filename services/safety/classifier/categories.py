"""What the classifier tells of a text, in the order of its outputs."""

from collections.abc import Iterable

DIRECT = "direct"
"""An attack on the model by whoever speaks to it."""
PLANTED = "planted"
"""An instruction to the model in a text that is only to be read."""
HARM = "harm"
"""Harmful content, or a request for it, of whatever category."""

CONTENT = "content"
"""The threshold for harm in what is no request; no output of its own."""

JUDGEMENTS = (DIRECT, PLANTED, HARM)
"""What the words are weighed for too."""

SEVERITIES = {
    "violence": 3,
    "hate": 3,
    "harassment": 3,
    "self_harm": 4,
    "sexual": 2,
    "crime": 3,
    "weapons": 4,
    "cyber": 3,
    "fraud": 3,
    "privacy": 2,
    "misinformation": 2,
}
"""The categories of harm, and how severe each is as a rule: 1 is mild, 4 extreme."""

CATEGORIES = tuple(SEVERITIES)
OUTPUTS = (*JUDGEMENTS, *CATEGORIES, "severity")


def check_categories(categories: Iterable[str]) -> None:
    """Refuse what is no category of harm.

    Raises:
        ValueError: there is one.
    """
    if unknown := set(categories) - set(CATEGORIES):
        known = ", ".join(CATEGORIES)
        raise ValueError(f"there is no category of harm {min(unknown)!r}; there are {known}")
