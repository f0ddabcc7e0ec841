"""Figures over labelled rows: recall at a share of false alarms, and how sure a share is."""

import json
import math
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

# Of the normal distribution: 95 % lie within.
_Z = 1.96
_PLACE_OF_SPAN = (int, int)
_KIND_OF_SPAN = (int, int, str)


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


def rows(path: Path, *needed: str) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines, each with a text.

    A row may say its text in base64, as `text_b64`. Where it says no `id`, `source` or `kind`,
    these are its place, the file's name, and empty.

    Args:
        path: the file.
        needed: what each row must say beside its text.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is no such row.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not UTF-8") from None
    return [
        _row(line, path, number, needed) for number, line in enumerate(lines, 1) if line.strip()
    ]


def present(path: Path, *needed: str) -> list[dict[str, Any]]:
    """Return the rows of a file as `rows` does; none where there is no such file."""
    return rows(path, *needed) if path.exists() else []


def _row(line: str, path: Path, number: int, needed: Sequence[str]) -> dict[str, Any]:
    place = f"{path.name}:{number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{place}: is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError(f"{place}: is no JSON object")  # noqa: TRY004 - of a file, not of a caller
    if "text_b64" in row:
        try:
            row["text"] = b64decode(row["text_b64"], validate=True).decode()
        except (TypeError, ValueError):
            raise ValueError(f"{place}: 'text_b64' is not UTF-8 in base64") from None
    for key in ("text", *needed):
        if key not in row:
            raise ValueError(f"{place}: has no {key!r}")
    if not isinstance(row["text"], str):
        raise ValueError(f"{place}: 'text' is no text")  # noqa: TRY004 - of a file, not of a caller
    form = _KIND_OF_SPAN if "spans" in needed else _PLACE_OF_SPAN
    if not all(_is_span(span, form) for span in row.get("spans") or ()):
        raise ValueError(f'{place}: a span is [start, end, kind], such as [0, 16, "email"]')
    return {"id": place, "source": path.stem, "kind": "", **row}


def _is_span(span: Any, form: Sequence[type]) -> bool:
    """Tell a place in a text, behind which more may be said than is asked for."""
    return (
        isinstance(span, list)
        and len(span) >= len(form)
        and all(isinstance(said, kind) for said, kind in zip(span, form, strict=False))
    )


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
