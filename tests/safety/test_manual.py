"""The manual page tells every category there is, and its policies, rows and commands hold."""

import json
import re
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catenary.cli import app
from catenary.config.v1 import safety_pb2
from services.safety.classifier.categories import CATEGORIES as HARM
from services.safety.classifier.categories import DIRECT, PLANTED
from services.safety.invisible import KINDS
from services.safety.pii.categories import CATEGORIES as PII
from services.safety.policy import load

FOLDER = Path(__file__).resolve().parents[2] / "services" / "safety"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
POLICIES = [
    textwrap.dedent(block)
    for block in re.findall(r"^((?: {4}| {8})profiles:\n(?:(?: {4}.*)?\n)+)", PAGE, re.MULTILINE)
]
ROWS = re.findall(r"^    (\w+\.jsonl): +(\{.*\})$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("category", [*HARM, *PII, *KINDS, DIRECT, PLANTED])
def test_every_category_is_told(category: str) -> None:
    assert f"`{category}`" in PAGE


def test_every_detector_is_told() -> None:
    detectors = safety_pb2.SafetyRule.DESCRIPTOR.oneofs_by_name["detector"].fields
    assert re.findall(r"^\| `(\w+)` \| .* \| .* \| .* \|$", PAGE, re.MULTILINE)[:11] == [
        detector.name for detector in detectors
    ]


def test_the_policies_are_policies(tmp_path: Path) -> None:
    assert len(POLICIES) == 2
    for number, policy in enumerate(POLICIES):
        file = tmp_path / f"{number}.yaml"
        file.write_text(policy, encoding="utf-8")
        load(file)
    assert load(tmp_path / "0.yaml").open_to("default") == ["standard", "strict"]


def test_a_first_check_says_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "safety.yaml").write_text(POLICIES[0], encoding="utf-8")
    (tmp_path / "mesh.yaml").touch()
    monkeypatch.chdir(tmp_path)
    [(text, shown)] = re.findall(r'\$ catenary safety check "(.*)"\n((?: {8}.*\n)+)', PAGE)
    result = CliRunner().invoke(app, ["safety", "check", text])
    told = [line.split() for line in result.stdout.splitlines()]
    assert told == [
        line.replace("of safety.yaml", f"of {tmp_path / 'safety.yaml'}").split()
        for line in shown.splitlines()
    ]


def test_the_rows_can_be_evaluated(tmp_path: Path) -> None:
    assert len(ROWS) == 3
    for name, row in ROWS:
        (tmp_path / name).write_text(row + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["safety", "evaluate", "--data", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    assert {figure["detector"] for figure in json.loads(result.stdout)} >= {"pii", "secrets"}
