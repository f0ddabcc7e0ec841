"""A policy that makes no sense is refused whole, with the place of the mistake."""

from pathlib import Path

import pytest

from services.config import ConfigError
from services.safety import detectors
from services.safety.policy import read_policy
from tests.safety.toys import Words, install_all, policy


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    install_all(monkeypatch)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("profiles:\n- {}\n", ":2: profiles[0].name: must be given: text"),
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
            (
                ":4: profiles[0].rules[0].detector: must be given: one of injection, harm, pii, "
                "secrets, deny, topics, language, length, characters, links, prompt_leak"
            ),
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
                "must be greater than or equal to 0 and less than or equal to 1; it is 1.5"
            ),
        ),
        (
            "profiles:\n- name: a\n  rules:\n  - pii: {}\n    input: {threshold: 0.3}\n",
            (
                ":5: profiles[0].rules[0].input.action: must be given: "
                "one of allow, pseudonymise, redact, block"
            ),
        ),
        (
            "profiles:\n- name: a\n  rules:\n  - toxicity: {}\n    input: {action: block}\n",
            (
                ":4: profiles[0].rules[0].toxicity: there is no such field here; there are input, "
                "documents, output, on_failure, deadline, dry_run, refusal; one detector of "
                "injection, harm, pii, secrets, deny, topics, language, length, characters, links, "
                "prompt_leak"
            ),
        ),
        (
            (
                "profiles:\n- name: a\n  rules:\n  - pii: {}\n"
                "    input: {action: block, threshold: 0.6, tell_from: 0.7}\n"
            ),
            (
                ":5: profiles[0].rules[0].input.tell_from: is above the threshold, 0.6: "
                "what is found from there on is told"
            ),
        ),
        ("", ":1: profiles: must be given; `profiles: []` stands for the one that ships"),
        (
            "# profiles: [{name: a}]\n",
            ":1: profiles: must be given; `profiles: []` stands for the one that ships",
        ),
        (
            "default_profile: standard\n",
            ":1: profiles: must be given; `profiles: []` stands for the one that ships",
        ),
        ("profiles: []\naudit: {with_text: true}\n", ":2: audit.file: must be given"),
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
    rules = "  rules:\n  - deny: {patterns: ['b']}\n    input: {action: block}\n"
    with pytest.raises(ConfigError, match=r":4: profiles\[0\]\.rules\[0\]\.deny: pattern '\(' "):
        policy(tmp_path, f"profiles:\n- name: a\n{rules}")


def test_what_a_detector_runs_on_is_named_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(_: object) -> Words:
        raise ModuleNotFoundError("No module named 'openvino'", name="openvino")

    monkeypatch.setitem(detectors.FACTORIES, "injection", lacking)
    told = r":4: profiles\[0\]\.rules\[0\]\.injection: openvino is not .*'catenary\[safety\]'$"
    with pytest.raises(ConfigError, match=told):
        policy(
            tmp_path,
            "profiles:\n- name: a\n  rules:\n  - injection: {}\n    input: {action: block}\n",
        )


@pytest.mark.parametrize("action", ["redact", "pseudonymise"])
@pytest.mark.parametrize("place", ["input", "documents", "output"])
def test_what_is_found_in_a_whole_text_cannot_be_blotted_out(
    tmp_path: Path, action: str, place: str
) -> None:
    rule = f"  - harm: {{}}\n    {place}: {{action: {action}}}\n"
    told = r"harm judges texts as a whole: it can only allow or block them$"
    with pytest.raises(
        ConfigError, match=rf":5: profiles\[0\]\.rules\[0\]\.{place}\.action: {told}"
    ):
        policy(tmp_path, f"profiles:\n- name: a\n  rules:\n{rule}")


@pytest.mark.parametrize(
    ("detector", "problem"),
    [
        ("harm: {categories: [violent]}", "there is no category of harm 'violent'; there are viol"),
        ("pii: {kinds: [creditcard]}", "no kind of .* 'creditcard'; there is credit_card$"),
        ("pii: {ignore: [xyzzy]}", "no kind of .* 'xyzzy'; there is person, address, "),
        ("language: {languages: [english]}", "'english' cannot be told: two letters name one"),
        ("deny: {}", "denies nothing: give phrases, patterns or lists"),
        ("deny: {phrases: [' ']}", "a phrase is blank"),
        ("deny: {patterns: ['a{0}']}", r"pattern 'a\{0\}' matches no character"),
        ("deny: {lists: [{name: a}]}", "list 'a' has neither phrases nor patterns"),
        ("links: {hosts: ['*.x.example']}", r"'\*\.x\.example' is no host's name"),
        ("links: {hosts: ['https://x.example/']}", "'https://x.example/' is no host's name"),
    ],
)
def test_what_a_detector_cannot_look_for_is_refused_without_its_model(
    tmp_path: Path, detector: str, problem: str
) -> None:
    rules = f"profiles:\n- name: a\n  rules:\n  - {detector}\n    input: {{action: block}}\n"
    file = tmp_path / "safety.yaml"
    file.write_text(rules)
    with pytest.raises(ConfigError, match=rf":4: profiles\[0\]\.rules\[0\]\.\w+: .*{problem}"):
        read_policy(file)


def test_hosts_are_names_or_addresses(tmp_path: Path) -> None:
    hosts = "[example.com, .Example.org, b\u00fccher.example, 10.0.0.1, '::1', localhost]"
    rules = f"  - links: {{hosts: {hosts}}}\n    output: {{action: block}}\n"
    assert policy(tmp_path, f"profiles:\n- name: a\n  rules:\n{rules}").profiles


def test_a_record_that_could_not_be_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=r":1: audit\.file: there is no folder '.*/none'"):
        policy(tmp_path, "audit: {file: none/blocked.jsonl}\nprofiles: []\n")
    with pytest.raises(ConfigError, match=r":1: audit\.file: '.*/folder' is a folder"):
        policy(tmp_path, "audit: {file: folder}\nprofiles: []\n")
    read = policy(tmp_path, "audit: {file: folder/blocked.jsonl}\nprofiles: []\n")
    assert read.config.audit.file == str(tmp_path / "folder" / "blocked.jsonl")
