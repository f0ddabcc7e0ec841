"""A policy that is followed: taken over when it changes, kept while it cannot be."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config import ConfigError
from services.safety import policies
from services.safety.policy import load

GOOD = "profiles: [{name: mine, allow: [a]}]"
BAD = "profiles: [{nme: mine}]"


def test_a_policy_that_was_in_force_outlives_a_restart_with_a_bad_file(tmp_path: Path) -> None:
    file, kept = tmp_path / "safety.yaml", tmp_path / "policy.kept"
    file.write_text(GOOD)
    first = policies._first(file, kept, ["x"])
    assert not first.refusal
    file.write_text(BAD)
    again = policies._first(file, kept, ["x"])
    assert again.policy.digest == first.policy.digest
    assert again.refusal.startswith("safety.yaml is not in force: line 1, field profiles[0].nme")
    file.unlink()
    gone = policies._first(file, kept, ["x"])
    assert gone.policy.digest == first.policy.digest
    assert gone.refusal == "safety.yaml is not in force: it can no longer be read"


def test_a_bad_file_at_the_first_start_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "safety.yaml"
    file.write_text(BAD)
    with pytest.raises(ConfigError, match="there is no such field"):
        policies._first(file, tmp_path / "policy.kept", ())


def test_without_a_file_the_policy_that_ships_holds(tmp_path: Path) -> None:
    first = policies._first(tmp_path / "safety.yaml", None, ())
    assert list(first.policy.profiles) == ["standard"]


def test_a_restart_where_there_never_was_a_file_is_no_refusal(tmp_path: Path) -> None:
    file, kept = tmp_path / "safety.yaml", tmp_path / "policy.kept"
    assert not policies._first(file, kept, ["x"]).refusal
    again = policies._first(file, kept, ["x"])
    assert (again.refusal, again.policy.file) == ("", "")
    file.write_text(BAD)
    kept_on = policies._first(file, kept, ["x"])
    assert (bool(kept_on.refusal), kept_on.policy.file) == (True, "")


def test_a_refused_file_changes_nothing_and_a_good_one_clears_the_refusal(tmp_path: Path) -> None:
    file = tmp_path / "safety.yaml"
    file.write_text(GOOD)
    followed = policies.Policies(load(file))
    before = followed.policy
    followed.refuse(ConfigError(file, 3, "profiles", "is no good"))
    assert followed.policy is before
    assert followed.refusal == "safety.yaml is not in force: line 3, field profiles: is no good"
    followed.take(load(file))
    assert not followed.refusal


@given(st.text(max_size=200))
def test_no_text_is_anything_but_a_policy_or_a_mistake(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    with suppress(ConfigError):
        assert load(file).profiles
