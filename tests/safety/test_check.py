"""What the policy says of a text, asked by a service and from the command line."""

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from catenary.cli import app
from catenary.v1 import decision_pb2
from catenary.v1 import safety_pb2 as pb
from services.errors import MeshError
from services.safety import SafetyChecker
from services.safety.policies import Policies
from tests.fakes import call
from tests.guarding import inspector, policy
from tests.safety.toys import Words, install

RULES = """
profiles:
- name: own
  rules:
  - pii: {}
    input: {action: pseudonymise}
    output: {action: pseudonymise}
  - harm: {}
    documents: {action: block}
- name: lax
"""


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, pii=Words("pii", ["anna"]), harm=Words("harm", ["bomb"], severity=4))


async def check(text: str, **fields: object) -> pb.CheckResponse:
    checker = SafetyChecker(Policies(policy(RULES)), inspector().looking, 1_000_000)
    return await checker.check(pb.CheckRequest(text=text, **fields), call())  # type: ignore[arg-type]


async def test_findings_come_with_their_places_and_the_text_as_it_would_go_on() -> None:
    told = await check("to anna, a bomb, anna")
    assert told.verdict == decision_pb2.VERDICT_PSEUDONYMISE
    assert told.profile == "own"
    assert [(one.start, one.end, one.finding.category) for one in told.findings] == [
        (3, 7, "anna"),
        (17, 21, "anna"),
    ]
    assert told.text == "to [ANNA_1], a bomb, [ANNA_1]"


async def test_a_text_is_checked_as_where_it_stands() -> None:
    told = await check("anna and a bomb", source=pb.TEXT_SOURCE_DOCUMENT)
    assert told.verdict == decision_pb2.VERDICT_BLOCK
    assert told.text == ""
    told = await check("anna and a bomb", source=pb.TEXT_SOURCE_ANSWER)
    assert told.text == "[REDACTED:ANNA] and a bomb"
    assert told.verdict == decision_pb2.VERDICT_REDACT
    assert [one.finding.verdict for one in told.findings] == [decision_pb2.VERDICT_REDACT]


async def test_nobody_may_ask_for_a_laxer_profile() -> None:
    with pytest.raises(MeshError, match="'lax' is laxer than your own, 'own', in its rule 'pii'"):
        await check("anna", profile="lax")


async def test_ten_thousand_findings_are_told_and_no_more() -> None:
    told = await check("anna " * 20_000)
    assert len(told.findings) == 10_000
    assert told.text == "[ANNA_1] " * 20_000


async def test_the_policy_is_told() -> None:
    policies = Policies(policy(RULES), "safety.yaml is not in force")
    told = await SafetyChecker(policies, inspector().looking, 1_000_000).get_policy(
        pb.GetPolicyRequest(), call()
    )
    assert (told.profile, list(told.profiles)) == ("own", ["own"])
    assert told.digest == policies.policy.digest
    assert told.refusal == "safety.yaml is not in force"


def ask(folder: Path, *options: str, text: str | None = None) -> tuple[int, str, str]:
    (folder / "safety.yaml").write_text(RULES)
    (folder / "mesh.yaml").write_text("safety: {deny: [open sesame]}")
    command = ["safety", "check", "--config", str(folder / "mesh.yaml"), *options]
    result = CliRunner().invoke(app, command, input=text)
    return result.exit_code, result.stdout, result.stderr


def test_the_command_shows_a_table(tmp_path: Path) -> None:
    code, shown, _ = ask(tmp_path, "to anna")
    assert code == 0
    heading, row, verdict, text = shown.splitlines()
    assert heading.split() == [
        *("detector", "category", "score", "severity", "start", "end", "action")
    ]
    assert row.split() == ["pii", "anna", "1.00", "3", "7", "pseudonymise"]
    assert verdict == f"profile own of {tmp_path / 'safety.yaml'}: pseudonymise"
    assert text == "to [ANNA_1]"


def test_the_command_exits_with_1_when_the_text_is_blocked(tmp_path: Path) -> None:
    code, shown, _ = ask(tmp_path, "Open Sesame", "--json")
    assert code == 1
    told = json.loads(shown)
    assert told["verdict"] == "VERDICT_BLOCK"
    assert told["findings"][0]["finding"]["detector"] == "deny"
    assert told["findings"][0]["start"] == 0
    assert json.loads(ask(tmp_path, "fine", "--json")[1])["findings"] == []
    assert ask(tmp_path, "-", "--source", "document", text="a bomb\n")[0] == 1


def test_the_command_asks_any_profile_and_reads_files(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("anna")
    code, shown, _ = ask(tmp_path, "--file", str(file), "--profile", "lax")
    assert (code, shown) == (0, f"profile lax of {tmp_path / 'safety.yaml'}: allow\n")


def test_the_command_names_the_policy_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        monkeypatch,
        **{kind: Words(kind, []) for kind in ("injection", "secrets", "characters", "links")},
    )
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["safety", "check", "fine"]).stdout
    assert (
        shown == "profile standard of the policy that ships (there is no mesh.yaml here): allow\n"
    )
    (tmp_path / "mesh.yaml").touch()
    shown = CliRunner().invoke(app, ["safety", "check", "fine"]).stdout
    assert "the policy that ships (there is no safety.yaml beside mesh.yaml): allow" in shown


def test_the_command_does_not_take_another_policy_for_one_that_is_not_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "mesh.yaml")
    result = CliRunner().invoke(app, ["safety", "check", "fine", "--config", missing])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"there is no file {missing!r}\n"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "give a text, or - to read one, or --file"),
        (("a", "--file", "b"), "give a text or --file, and not both"),
        (("--file", "no such file"), "the text cannot be read: No such file or directory"),
        (
            ("a", "--profile", "x"),
            "profile: there is no safety profile 'x'; there are 'own', 'lax'",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, options: tuple[str, ...], problem: str) -> None:
    code, shown, errors = ask(tmp_path, *options)
    assert (code, shown) == (2, "")
    assert errors.strip().endswith(problem)
    assert len(errors.splitlines()) == 1


async def test_what_nobody_sees_goes_without_a_mark() -> None:
    rules = "profiles: [{name: a, rules: [{characters: {}, input: {action: redact}}]}]"
    checker = SafetyChecker(Policies(policy(rules)), inspector().looking, 1_000_000)
    told = await checker.check(pb.CheckRequest(text="he\u200bllo"), call())
    assert told.text == "hello"
    assert told.verdict == decision_pb2.VERDICT_REDACT


async def test_a_text_that_is_too_long_is_refused() -> None:
    checker = SafetyChecker(Policies(policy(RULES)), inspector().looking, 3)
    assert (await checker.check(pb.CheckRequest(text="ann"), call())).text == "ann"
    with pytest.raises(MeshError, match="text: there are 4 characters, but at most 3 are allowed"):
        await checker.check(pb.CheckRequest(text="anna"), call())


async def test_what_a_check_finds_is_not_counted(registry: CollectorRegistry) -> None:
    inspecting = inspector(registry)
    checker = SafetyChecker(Policies(policy(RULES)), inspecting.looking, 1000)
    told = await checker.check(pb.CheckRequest(text="anna"), call())
    assert told.findings
    counted = {sample.name for metric in registry.collect() for sample in metric.samples}
    assert "catenary_safety_findings_total" not in counted
    # What detectors take is.
    labels = {"detector": "pii", "direction": "input"}
    name = "catenary_safety_detector_duration_seconds_count"
    assert registry.get_sample_value(name, labels) == 1
