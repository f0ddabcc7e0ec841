"""A profile that builds on another says only what is otherwise."""

from pathlib import Path

import pytest

from services.config import ConfigError
from services.safety.policy import STANDARD, Policy, load, read_policy
from services.safety.profile import BLOCK, Profile
from tests.safety.toys import Words, install

KINDS = ("pii", "secrets", "harm", "injection", "characters", "links", "prompt_leak")


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, **{kind: Words(kind, []) for kind in KINDS})


def policy(folder: Path, text: str) -> Policy:
    file = folder / "safety.yaml"
    file.write_text(text)
    return load(file)


def kinds(profile: Profile) -> set[str]:
    return {rule.kind for rule in profile.rules}


def test_a_profile_may_build_on_the_one_that_ships(tmp_path: Path) -> None:
    shipped = load(STANDARD).profiles["standard"]
    [mine] = policy(
        tmp_path,
        "profiles:\n- name: mine\n  extends: standard\n  off: [links]\n  rules:\n"
        "  - pii: {kinds: [email]}\n    input: {action: block}\n",
    ).profiles.values()
    assert kinds(mine) == kinds(shipped) - {"links"}
    [own] = (rule for rule in mine.rules if rule.kind == "pii")
    assert {place: done.action for place, done in own.handlings.items()} == {"input": BLOCK}
    others = {rule.kind: rule for rule in mine.rules if rule.kind != "pii"}
    assert others == {rule.kind: rule for rule in shipped.rules if rule.kind in others}


def test_the_one_that_ships_may_be_changed_under_its_own_name(tmp_path: Path) -> None:
    read = policy(
        tmp_path,
        "profiles:\n- {name: standard, extends: standard, allow: [anna]}\n"
        "- {name: more, extends: standard, allow: [ben]}\n",
    )
    assert kinds(read.profiles["standard"]) == kinds(load(STANDARD).profiles["standard"])
    assert read.profiles["standard"].allowed == {"anna"}
    assert read.profiles["more"].allowed == {"anna", "ben"}


def test_profiles_build_on_each_other_wherever_they_stand(tmp_path: Path) -> None:
    read = policy(
        tmp_path,
        "profiles:\n- {name: c, extends: b, off: [pii]}\n- {name: b, extends: a}\n"
        "- name: a\n  refusal: No.\n  rules:\n  - pii: {}\n    input: {action: block}\n"
        "  - secrets: {}\n    input: {action: block}\n",
    )
    assert kinds(read.profiles["b"]) == {"pii", "secrets"}
    assert kinds(read.profiles["c"]) == {"secrets"}
    assert read.profiles["c"].refusal("secrets") == "No."
    # What is in force is told in full, and read alike by a process that starts anew.
    assert not any(profile.config.extends for profile in read.profiles.values())


def test_the_digest_is_that_of_what_holds(tmp_path: Path) -> None:
    rule = "  rules:\n  - pii: {}\n    input: {action: block}\n"
    base = f"profiles:\n- name: a\n{rule}"
    assert (
        policy(tmp_path, f"{base}- name: b\n  extends: a\n").digest
        == policy(tmp_path, f"{base}- name: b\n{rule}").digest
    )


@pytest.mark.parametrize(
    ("profiles", "problem"),
    [
        (
            "- {name: a, extends: b}\n",
            ":2: profiles[0].extends: there is no profile 'b' to build on; there are standard",
        ),
        (
            "- {name: a, extends: a}\n- {name: b}\n",
            ":2: profiles[0].extends: there is no profile 'a' to build on; there are b, standard",
        ),
        (
            "- {name: a, extends: b}\n- {name: b, extends: a}\n",
            ":2: profiles[0].extends: 'a' builds on itself",
        ),
        (
            "- {name: a, extends: standard, off: [topics]}\n",
            (
                ":2: profiles[0].off: 'standard' has no rule for 'topics'; it has injection, harm, "
                "pii, secrets, characters, links, prompt_leak"
            ),
        ),
        (
            "- {name: a, off: [pii]}\n",
            ":2: profiles[0].off: there is nothing to turn off without `extends`",
        ),
    ],
)
def test_what_cannot_be_built_on_is_told(tmp_path: Path, profiles: str, problem: str) -> None:
    file = tmp_path / "safety.yaml"
    file.write_text(f"profiles:\n{profiles}")
    with pytest.raises(ConfigError) as caught:
        read_policy(file)
    assert str(caught.value) == f"{file}{problem}"
