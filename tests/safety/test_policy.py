"""The policy: what it says, what it is refused for, and who may ask for which profile."""

from pathlib import Path

import pytest

from services.config import ConfigError
from services.errors import MeshError
from services.safety import detectors
from services.safety.detector import Source, Text
from services.safety.policy import Policy, load
from services.safety.profile import BLOCK
from tests.safety.toys import Words, install


def policy(folder: Path, text: str) -> Policy:
    file = folder / "safety.yaml"
    file.write_text(text)
    return load(file)


PII = "- pii: {}\n      input: {action: pseudonymise}\n"


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    install(
        monkeypatch,
        pii=Words("pii", ["anna"]),
        secrets=Words("secrets", ["key"]),
        harm=Words("harm", ["bomb"]),
        language=Words("language", []),
        length=Words("length", []),
        topics=Words("topics", []),
        links=Words("links", []),
        prompt_leak=Words("prompt_leak", []),
        injection=Words("injection", ["ignore"], reach=0),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("profiles:\n- {}\n", ":2: profiles[0].name: must be at least 1 characters"),
        ("profiles:\n- name: a\n- name: a\n", ":3: profiles[1].name: 'a' stands twice"),
        (
            "default_profile: b\nprofiles:\n- name: a\n",
            ":1: default_profile: there is no profile 'b'; there are a",
        ),
        (
            "profiles:\n- name: a\ntenants:\n  acme: b\n",
            ":3: tenants.acme: there is no profile 'b'; there are a",
        ),
        (
            "profiles:\n- name: a\n  rules:\n  - input: {action: block}\n",
            ":4: profiles[0].rules[0].detector: exactly one field is required in oneof",
        ),
        (
            "profiles:\n- name: a\n  rules:\n  - pii: {}\n",
            ":4: profiles[0].rules[0]: says nothing of input, documents or output",
        ),
        (
            "profiles:\n- name: a\n  rules:\n  - pii: {}\n    input: {action: remove}\n",
            (
                ":5: profiles[0].rules[0].input.action: must be one of "
                "allow, pseudonymise, redact, block"
            ),
        ),
        (
            (
                "profiles:\n- name: a\n  rules:\n  - pii: {}\n    input: {action: block}\n"
                "    secrets: {}\n"
            ),
            ":6: profiles[0].rules[0].secrets: cannot stand beside 'pii': give one of them",
        ),
        (
            (
                "profiles:\n- name: a\n  rules:\n  - pii: {}\n    input: {action: block}\n"
                "  - pii: {}\n    output: {action: block}\n"
            ),
            ":6: profiles[0].rules[1]: pii has a rule already",
        ),
        (
            "profiles:\n- name: a\n  rules:\n  - prompt_leak: {}\n    input: {action: block}\n",
            ":4: profiles[0].rules[0]: prompt_leak looks at output alone",
        ),
        (
            (
                "profiles:\n- name: a\n  rules:\n  - pii: {}\n"
                "    input: {action: block, threshold: 1.5}\n"
            ),
            (
                ":5: profiles[0].rules[0].input.threshold: "
                "must be greater than or equal to 0 and less than or equal to 1"
            ),
        ),
    ],
)
def test_a_policy_with_a_mistake_is_refused_with_its_place(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        policy(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'safety.yaml'}{problem}"


def test_a_detector_that_refuses_its_configuration_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(_: object) -> Words:
        raise ValueError("pattern '(' is none")

    monkeypatch.setitem(detectors.FACTORIES, "deny", refusing)
    with pytest.raises(ConfigError, match=r":4: profiles\[0\]\.rules\[0\]\.deny: pattern '\(' "):
        policy(tmp_path, "profiles:\n- name: a\n  rules:\n  - deny: {patterns: ['(']}\n")


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
            "- pii: {kinds: [card, email]}\n    input: {action: redact}",
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
            "- pii: {}\n    input: {action: redact}",
            "- pii: {}\n    input: {action: redact}\n    deadline: 0.1s",
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
    with pytest.raises(MeshError, match="there is no safety profile 'x'; there are 'own', 'asked'"):
        read.profile("default", "x")


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


def test_a_rule_may_fail_open_unless_it_may_block(tmp_path: Path) -> None:
    rules = (
        "profiles:\n- name: a\n  rules:\n"
        "  - pii: {}\n    input: {action: redact}\n"
        "  - secrets: {}\n    input: {action: redact}\n    output: {action: block}\n"
        "  - harm: {}\n    input: {action: block}\n    on_failure: open\n"
    )
    profile = policy(tmp_path, rules).profile("default", "")
    assert [rule.fails_closed for rule in profile.rules] == [False, True, False]
    assert [rule.deadline_s for rule in profile.rules] == [2, 2, 2]
    [blocked] = profile.rules[1].unjudged(Text("x", Source.USER))
    assert (blocked.action, blocked.finding.category) == (BLOCK, "unavailable")


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
