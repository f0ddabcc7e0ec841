"""The figures over a folder of rows."""

import json
from pathlib import Path

from catenary.config.v1 import safety_pb2
from services.safety.evaluation.pii import evaluate
from services.safety.pii import pii


def row(text: str, *spans: tuple[str, str], source: str = "ours") -> str:
    marked = [[text.index(said), text.index(said) + len(said), kind] for said, kind in spans]
    return json.dumps({"text": text, "spans": marked, "source": source, "entity": "CREDIT_CARD"})


def test_figures_by_source_and_by_kind(tmp_path: Path) -> None:
    lines = [
        row("pay with 4111 1111 1111 1111", ("4111 1111 1111 1111", "CREDIT_CARD")),
        row("the code is 4111 1111 1111 1112", ("4111 1111 1111 1112", "CREDIT_CARD")),
        row("write to ann@example.org", source="theirs"),
    ]
    (tmp_path / "pii.jsonl").write_text("\n".join(lines), encoding="utf-8")
    report = evaluate(tmp_path, pii(safety_pb2.PiiDetector(kinds=["credit_card", "email"])))
    assert (report.typed["ours"].recall.hits, report.typed["ours"].recall.of) == (1, 2)
    assert (report.typed["theirs"].precision.hits, report.typed["theirs"].precision.of) == (0, 1)
    assert report.kinds["credit_card"].f2 == 5 / 9
    assert (report.leaks.hits, report.leaks.of) == (1, 2)
