"""Every figure of every detector, over a folder of labelled rows."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from catenary.config.v1.safety_pb2 import PiiDetector
from services.safety.evaluation import classifier, forms, pii, secrets
from services.safety.evaluation.figures import Share
from services.safety.pii.detector import pii as pii_detector

ALL = "all"
FILES = (
    *("safety_injection.jsonl", "safety_harmful.jsonl", "safety_benign.jsonl"),
    *("pii.jsonl", "secrets.jsonl"),
)
"""The files that are read, of those that a folder has."""


class Figure(NamedTuple):
    """One figure, with the 95 % interval of what it is a share of."""

    detector: str
    name: str
    source: str
    value: float
    low: float
    high: float
    rows: int


def evaluate(folder: Path) -> Iterator[Figure]:
    """Give the figures as they are reckoned; what the folder has no rows for is left out.

    Raises:
        ValueError: a file is not what it should be, or none is there.
        OSError: a file cannot be read.
    """
    if not any((folder / name).exists() for name in FILES):
        raise ValueError(f"there is none of {', '.join(FILES)} in {str(folder)!r}")
    for of_detectors in _EVALUATIONS:
        yield from (figure for figure in of_detectors(folder) if figure.rows)


def _of_classifier(folder: Path) -> Iterator[Figure]:
    for detector, figures in classifier.evaluate(folder).items():
        yield _share(detector, "recall", ALL, figures.total)
        yield _share(detector, "recall at 1 % false alarms", ALL, figures.at_one_percent)
        yield _share(detector, "false alarms", ALL, figures.total_false)
        yield from _by_source(detector, "recall", figures.found)
        yield from _by_source(detector, "false alarms", figures.false_alarms)


def _of_pii(folder: Path) -> Iterator[Figure]:
    report = pii.evaluate(folder, pii_detector(PiiDetector()))
    for name, by_source in (("span", report.typed), ("span, of any kind", report.untyped)):
        for source, figures in by_source.items():
            rows = figures.recall.of
            yield Figure("pii", f"{name} F2", source, figures.f2, figures.f2, figures.f2, rows)
            yield _share("pii", f"{name} recall", source, figures.recall)
            yield _share("pii", f"{name} precision", source, figures.precision)
    yield _share("pii", "rows that leak a kind with check digits", ALL, report.leaks)
    for kind, figures in report.kinds.items():
        yield _share("pii", f"recall of {kind}", ALL, figures.recall)


def _of_secrets(folder: Path) -> Iterator[Figure]:
    report = secrets.evaluate(folder)
    yield _share("secrets", "row recall", ALL, report.recall)
    yield _share("secrets", "row precision", ALL, report.precision)
    yield _share("secrets", "characters covered", ALL, report.covered)
    yield from _by_source("secrets", "row recall", report.by_source)
    yield from _by_source("secrets", "false alarms", report.false_alarms)


def _of_forms(folder: Path) -> Iterator[Figure]:
    report = forms.evaluate(folder)
    yield from _by_source("forms", "recovered", report.recovered)
    yield from _by_source("forms", "harmless with a second form", report.other_forms)


def _by_source(detector: str, name: str, shares: Mapping[str, Share]) -> Iterator[Figure]:
    for source, share in shares.items():
        yield _share(detector, name, source, share)


def _share(detector: str, name: str, source: str, share: Share) -> Figure:
    return Figure(detector, name, source, share.value, *share.interval, share.of)


_EVALUATIONS: tuple[Callable[[Path], Iterator[Figure]], ...] = (
    _of_classifier,
    _of_pii,
    _of_secrets,
    _of_forms,
)
