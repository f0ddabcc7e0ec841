"""How much of what is hidden the forms of a text bring to light."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from services.safety.evaluation.figures import Share, present
from services.safety.normalise import views

_HIDDEN = "safety_injection.jsonl"
_HARMLESS = "safety_benign.jsonl"

# What leetspeak does not tell apart: a digit that is meant, from a letter.
_ALIKE = str.maketrans("012345789", "oizeastbg") | str.maketrans({"l": "i"})


class Report(NamedTuple):
    """The figures, of rows."""

    recovered: Mapping[str, Share]
    """By how it was hidden: rows in which a form has all that was hidden."""
    other_forms: Mapping[str, Share]
    """By source of harmless rows: those that have a form beside their own."""


def evaluate(folder: Path) -> Report:
    """Look at the obfuscated rows of one file, and the harmless ones of the other.

    Raises:
        OSError: a file cannot be read.
        ValueError: a line is no row.
    """
    recovered: dict[str, list[bool]] = defaultdict(list)
    for row in present(folder / _HIDDEN):
        if row["kind"] == "obfuscated" and {"base", "variant"} <= row.keys():
            hidden = _letters(row["base"])
            found = any(hidden in _letters(view.text) for view in views(row["text"]))
            recovered[row["variant"]].append(found)
    other: dict[str, list[bool]] = defaultdict(list)
    for row in present(folder / _HARMLESS):
        other[row["source"]].append(len(views(row["text"])) > 1)
    return Report(_shares(recovered), _shares(other))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower())).translate(_ALIKE)


def _shares(told: Mapping[str, list[bool]]) -> dict[str, Share]:
    return {name: Share(sum(answers), len(answers)) for name, answers in sorted(told.items())}
