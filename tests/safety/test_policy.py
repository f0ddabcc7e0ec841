"""The policy: what it says, and who may ask for which profile."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.errors import MeshError
from services.safety.detector import Finding, Source, Text
from services.safety.profile import BLOCK
from tests.safety.stream.rules import ALLOW
from tests.safety.toys import install_all, policy

PII = "- pii: {}\n      input: {action: pseudonymise}\n"


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    install_all(monkeypatch)


def test_a_model_that_no_rule_needs_is_not_even_imported() -> None:
    imports = "import sys; import services.safety; sys.exit('openvino' in sys.modules)"
    subprocess.run([sys.executable, "-c", imports], check=True, timeout=60)


TWO = """
default_profile: own
profiles:
- name: own
  rules: {own}
- name: asked
  rules: {asked}
"""


@pytest.mark.parametrize(
    ("own", "asked", "laxer"),
    [
        ("- pii: {}\n    input: {action: redact}", "- pii: {}\n    input: {action: block}", ""),
        (
            "- pii: {}\n    input: {action: redact}",
            "- pii: {}\n    input: {action: pseudonymise}",
            "pii",
        ),
        ("- pii: {}\n    input: {action: redact}", "[]", "pii"),
        ("[]", "- pii: {}\n    input: {action: redact}", ""),
        (
            "- pii: {}\n    input: {action: redact}\n    output: {action: allow}",
            "- pii: {}\n    input: {action: redact}",
            "pii",
        ),
        (
            "- pii: {}\n    input: {action: redact, threshold: 0.4}",
            "- pii: {}\n    input: {action: redact}",
            "pii",
        ),
        (
            "- pii: {}\n    input: {action: redact}",
            "- pii: {kinds: [email]}\n    input: {action: redact}",
            "pii",
        ),
        (
            "- pii: {kinds: [email]}\n    input: {action: redact}",
            "- pii: {kinds: [credit_card, email]}\n    input: {action: redact}",
            "",
        ),
        (
            "- pii: {ignore: [date]}\n    input: {action: redact}",
            "- pii: {ignore: [date, age]}\n    input: {action: redact}",
            "pii",
        ),
        (
            "- harm: {severity: 3}\n    input: {action: block}",
            "- harm: {}\n    input: {action: block}",
            "",
        ),
        (
            "- harm: {}\n    input: {action: block}",
            "- harm: {severity: 3}\n    input: {action: block}",
            "harm",
        ),
        (
            "- pii: {}\n    input: {action: block}",
            "- pii: {}\n    input: {action: block}\n    on_failure: open",
            "pii",
        ),
        (
            "- pii: {}\n    input: {action: redact}\n    on_failure: open",
            "- pii: {}\n    input: {action: redact}\n    on_failure: open\n    deadline: 0.1s",
            "pii",
        ),
        (
            "- length: {max_tokens: 10}\n    input: {action: block}",
            "- length: {max_tokens: 11}\n    input: {action: block}",
            "length",
        ),
        (
            "- language: {languages: [en, nl]}\n    input: {action: block}",
            "- language: {languages: [en]}\n    input: {action: block}",
            "",
        ),
        (
            "- links: {hosts: [a.example]}\n    output: {action: redact}",
            "- links: {}\n    output: {action: redact}",
            "links",
        ),
        (
            (
                "- topics: {only: true, topics: [{name: a, examples: [a]}]}\n"
                "    input: {action: block}"
            ),
            "- topics: {topics: [{name: a, examples: [a]}]}\n    input: {action: block}",
            "topics",
        ),
    ],
)
def test_only_a_profile_that_is_as_strict_may_be_asked_for(
    tmp_path: Path, own: str, asked: str, laxer: str
) -> None:
    own, asked = (f"\n  {rules}" if rules != "[]" else rules for rules in (own, asked))
    read = policy(tmp_path, TWO.format(own=own, asked=asked))
    if laxer:
        with pytest.raises(MeshError) as caught:
            read.profile("default", "asked")
        assert caught.value.message == (
            f"controls.safety_profile: 'asked' is laxer than your own, 'own', in its rule {laxer!r}"
        )
        assert read.open_to("default") == ["own"]
    else:
        assert read.profile("default", "asked").name == "asked"
        assert read.open_to("default") == ["own", "asked"]


def test_a_profile_that_allows_more_is_laxer(tmp_path: Path) -> None:
    read = policy(tmp_path, "profiles:\n- name: own\n- name: asked\n  allow: [Anna]\n")
    with pytest.raises(MeshError, match="in its rule 'allow'"):
        read.profile("default", "asked")


def test_of_profiles_a_caller_hears_only_those_that_he_may_ask_for(tmp_path: Path) -> None:
    rules = f"profiles:\n- name: own\n  rules:\n    {PII}- name: secret_and_lax\n"
    read = policy(tmp_path, rules + "- name: strict\n  extends: own\n")
    with pytest.raises(MeshError) as caught:
        read.profile("default", "x", "profile")
    told = "profile: there is no safety profile 'x'; there are 'own', 'strict'"
    assert caught.value.message == told
    with pytest.raises(MeshError, match="'own', 'secret_and_lax', 'strict'"):
        read.named("x")


def test_a_tenant_has_a_profile_of_its_own(tmp_path: Path) -> None:
    read = policy(
        tmp_path,
        f"profiles:\n- name: lax\n- name: strict\n  rules:\n    {PII}tenants: {{acme: strict}}\n",
    )
    assert read.profile("default", "").name == "lax"
    assert read.profile("default", "strict").name == "strict"
    assert read.profile("acme", "").name == "strict"
    with pytest.raises(MeshError, match="'lax' is laxer than your own, 'strict'"):
        read.profile("acme", "lax")


def test_what_is_allowed_is_found_by_no_rule(tmp_path: Path) -> None:
    read = policy(tmp_path, f"profiles:\n- name: a\n  rules:\n    {PII}  allow: [ANNA]\n")
    profile = read.profile("default", "")
    [rule] = profile.rules
    assert rule.judged(Text("anna", Source.USER))
    assert not rule.judged(Text("anna", Source.USER), profile.allowed)


def test_a_rule_fails_open_where_it_only_tells(tmp_path: Path) -> None:
    rules = (
        "profiles:\n- name: a\n  rules:\n"
        "  - pii: {}\n    input: {action: allow}\n"
        "  - secrets: {}\n    input: {action: redact}\n    output: {action: allow}\n"
        "  - harm: {}\n    input: {action: block}\n    on_failure: open\n"
    )
    profile = policy(tmp_path, rules).profile("default", "")
    assert [rule.fails_closed for rule in profile.rules] == [False, True, False]
    assert [rule.deadline_s for rule in profile.rules] == [2, 2, 2]


def test_instructions_of_whoever_runs_the_application_are_no_injection(tmp_path: Path) -> None:
    text = "profiles:\n- name: a\n  rules:\n  - injection: {}\n    input: {action: block}\n"
    [rule] = policy(tmp_path, text).profile("default", "").rules
    assert rule.looks_at(Source.USER)
    assert not rule.looks_at(Source.SYSTEM)
    assert not rule.looks_at(Source.DOCUMENT)


def test_the_digest_changes_with_what_the_policy_says_and_with_nothing_else(tmp_path: Path) -> None:
    one = policy(tmp_path, "profiles:\n- name: a\n")
    assert one.digest == policy(tmp_path, "# a comment\nprofiles:\n- {name: a}\n").digest
    assert one.digest != policy(tmp_path, "profiles:\n- name: b\n").digest
    assert len(one.digest) == 64


def test_what_scores_less_than_what_is_acted_on_may_be_told(tmp_path: Path) -> None:
    rule = "- pii: {}\n    input: {action: block, threshold: 0.7, tell_from: 0.3}\n"
    profile = policy(tmp_path, f"profiles:\n- name: a\n  rules:\n  {rule}").profile("default", "")
    done = profile.rules[0].handlings["input"]
    acts = [done.judge(Finding(0, 1, "pii", "email", score)) for score in (0.2, 0.3, 0.7)]
    assert [judged and judged.action for judged in acts] == [None, ALLOW, BLOCK]
