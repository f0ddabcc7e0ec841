"""What the classifier finds and misses: attacks on the model, harm, and false alarms, by source."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.safety.classifier.classifier import Classifier, load
from services.safety.classifier.detectors import Harm, Injection
from services.safety.detector import Source, Text
from services.safety.evaluation.figures import Share, present, reached, threshold_at

FALSE_ALARMS = 0.01

# Where texts of a kind stand; all others are what a user says.
_IN_DOCUMENTS = {"document", "tool_output", "content"}
_PLANTED_KINDS = "indirect_"
# Harmless-looking out of context; and rows that are not harmful content, or only mildly.
_BARE = "indirect_instruction_only"
_MILD = {"human_chatbox", "copyright"}
_CONTENT = "openai_moderation"


@dataclass(slots=True)
class Figures:
    """How one judgement fares."""

    found: dict[str, Share]
    """By source, how much of what is to be found is found."""
    false_alarms: dict[str, Share]
    """By source, how many harmless texts are taken for it."""
    total: Share = field(default_factory=lambda: Share(0, 0))
    """All that is to be found, what the sources' notes call noise left out."""
    total_false: Share = field(default_factory=lambda: Share(0, 0))
    at_one_percent: Share = field(default_factory=lambda: Share(0, 0))
    """What would be found with the threshold that 1 % of these harmless texts reach."""


def evaluate(folder: Path, classifier: Classifier | None = None) -> dict[str, Figures]:
    """Return the figures of `injection` and `harm` for a folder of labelled rows.

    Raises:
        OSError: the model is missing, or a file cannot be read.
        ValueError: a file is not what it should be.
    """
    classifier = classifier or load()
    attacks = present(folder / "safety_injection.jsonl")
    harmless = present(folder / "safety_benign.jsonl")
    harmful = present(folder / "safety_harmful.jsonl", "label")
    requests = [row for row in harmful if row["label"]]
    contents = [row for row in harmful if not row["label"]]
    counted = [row for row in attacks if row["kind"] != _BARE]
    meant = [
        row for row in requests if row.get("category") not in _MILD and row["source"] != _CONTENT
    ]
    injection, harm = Injection(classifier), Harm(classifier)
    return {
        "injection": _figures(injection, attacks, harmless + contents, counted, harmless),
        "harm": _figures(harm, requests, harmless + contents, meant, harmless),
    }


def _figures(
    detector: Injection | Harm,
    wanted: list[dict[str, Any]],
    harmless: list[dict[str, Any]],
    counted: list[dict[str, Any]],
    counted_harmless: list[dict[str, Any]],
) -> Figures:
    scores = {
        row["id"]: detector.score(Text(row["text"], source(row))) for row in wanted + harmless
    }

    def share(some: Iterable[dict[str, Any]], threshold: float) -> Share:
        return reached([scores[row["id"]] for row in some], threshold)

    def by_source(some: Iterable[dict[str, Any]]) -> dict[str, Share]:
        grouped: dict[str, list[dict[str, Any]]] = {}
        for row in some:
            grouped.setdefault(row["source"], []).append(row)
        return {name: share(grouped[name], detector.threshold) for name in sorted(grouped)}

    strict = threshold_at(FALSE_ALARMS, [scores[row["id"]] for row in counted_harmless])
    return Figures(
        by_source(wanted),
        by_source(harmless),
        share(counted, detector.threshold),
        share(counted_harmless, detector.threshold),
        # Without harmless rows there is no such threshold.
        share(counted if counted_harmless else (), strict),
    )


def source(row: dict[str, Any]) -> Source:
    """Return where the text of a row stands."""
    in_document = row["kind"] in _IN_DOCUMENTS or row["kind"].startswith(_PLANTED_KINDS)
    return Source.DOCUMENT if in_document else Source.USER
