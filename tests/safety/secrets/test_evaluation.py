"""The figures of the detector of secrets, over rows of our own."""

import json
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.safety.evaluation.secrets import evaluate

TOKEN = "AKIA" + "Z" * 16
MISSED = "the word is swordfish"


def row(source: str, text: str, label: int, spans: Any = None) -> dict[str, Any]:
    encoded = b64encode(text.encode()).decode()
    return {"source": source, "text_b64": encoded, "label": label, "spans": spans}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows), encoding="utf-8")


def test_rows_and_characters_are_counted(tmp_path: Path) -> None:
    write(
        tmp_path / "secrets.jsonl",
        [
            row("a", f"it is {TOKEN}", 1, [[6, 26, "key"]]),
            row("a", MISSED, 1, [[12, 21]]),
            row("b", TOKEN, 1),
            row("b", "no secret at all", 0, []),
            row("c", TOKEN, 0, []),
        ],
    )
    write(
        tmp_path / "safety_benign.jsonl",
        [{"source": "d", "text": "Good morning."}, {"source": "d", "text": f"Look: {TOKEN}"}],
    )
    report = evaluate(tmp_path)
    assert report.recall == (2, 3)
    assert report.precision == (2, 3)
    assert report.by_source == {"a": (1, 2), "b": (1, 1)}
    assert report.false_alarms == {"b": (0, 1), "c": (1, 1), "d": (1, 2)}
    assert report.covered == (20, 29)
    assert evaluate(tmp_path, threshold=1).recall == (0, 3)
