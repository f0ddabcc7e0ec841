"""What the detector of secrets finds and misses."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from services.safety.detector import Finding, Source, Text
from services.safety.evaluation.figures import Share, present
from services.safety.secrets.detector import secrets

_SECRETS = "secrets.jsonl"
_HARMLESS = "safety_benign.jsonl"


class Report(NamedTuple):
    """The figures; of rows, but for `covered`."""

    recall: Share
    precision: Share
    by_source: Mapping[str, Share]
    """Recall for each source of secrets."""
    false_alarms: Mapping[str, Share]
    """Rows in which secrets are found for each source of rows that have none."""
    covered: Share
    """The characters found of those secrets whose places are known."""


def evaluate(folder: Path, threshold: float | None = None) -> Report:
    """Look at the rows of `secrets.jsonl`, and for false alarms at those of `safety_benign.jsonl`.

    Raises:
        OSError: a file cannot be read.
        ValueError: a line is no row.
    """
    detector = secrets()
    least = detector.threshold if threshold is None else threshold

    def find(text: str) -> Sequence[Finding]:
        return [one for one in detector.find(Text(text, Source.USER)) if one.score >= least]

    seen: Counter[tuple[str, bool]] = Counter()
    hits: Counter[tuple[str, bool]] = Counter()
    covered = characters = 0
    for row in present(folder / _SECRETS, "label"):
        found = find(row["text"])
        kind = row["source"], bool(row["label"])
        seen[kind] += 1
        hits[kind] += bool(found)
        for start, end, *_ in row.get("spans") or ():
            characters += end - start
            covered += _covered(found, start, end)
    secret = Share(_count(hits, labelled=True), _count(seen, labelled=True))
    alarms = _count(hits, labelled=False)
    for row in present(folder / _HARMLESS):
        seen[row["source"], False] += 1
        hits[row["source"], False] += bool(find(row["text"]))
    return Report(
        recall=secret,
        precision=Share(secret.hits, secret.hits + alarms),
        by_source=_shares(hits, seen, labelled=True),
        false_alarms=_shares(hits, seen, labelled=False),
        covered=Share(covered, characters),
    )


def _count(rows: Counter[tuple[str, bool]], *, labelled: bool) -> int:
    return sum(number for (_, label), number in rows.items() if label is labelled)


def _shares(
    hits: Counter[tuple[str, bool]], seen: Counter[tuple[str, bool]], *, labelled: bool
) -> Mapping[str, Share]:
    return {
        source: Share(hits[source, label], number)
        for (source, label), number in sorted(seen.items())
        if label is labelled
    }


def _covered(found: Sequence[Finding], start: int, end: int) -> int:
    """Count the characters of a span that findings hold."""
    held: set[int] = set()
    for one in found:
        held.update(range(max(start, one.start), min(end, one.end)))
    return len(held)
