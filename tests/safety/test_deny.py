"""Phrases and expressions that are denied are found wherever and however they stand."""

# ruff: noqa: RUF001 - look-alikes are among it.

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.config.v1 import safety_pb2
from services.safety.deny import deny
from services.safety.detector import Detector, Source, Text


def detector(phrases: Sequence[str] = (), patterns: Sequence[str] = ()) -> Detector:
    return deny(safety_pb2.DenyDetector(phrases=phrases, patterns=patterns))


def found(raw: str, phrases: Sequence[str] = (), patterns: Sequence[str] = ()) -> list[str]:
    findings = detector(phrases, patterns).find(Text(raw, Source.USER))
    return [raw[finding.start : finding.end] for finding in findings]


@pytest.mark.parametrize(
    "raw",
    [
        "Project Bluebird",
        "PROJECT BLUEBIRD",
        "project\nbluebird",
        "project \t  bluebird",
        "project\u00a0bluebird",
        "pr\u200boject bluebird",
        "рroject bluebird",
        "project b1u3bird",
        "ｐｒｏｊｅｃｔ ｂｌｕｅｂｉｒｄ",
    ],
)
def test_a_phrase_is_found_however_it_is_written(raw: str) -> None:
    assert found(f"About {raw} today", ["project bluebird"]) == [raw]


def test_case_may_change_the_length() -> None:
    assert found("In der STRASSE, Straße", ["straße"]) == ["STRASSE", "Straße"]
    assert found("ßß Straßen", ["STRASSE"]) == ["Straße"]


def test_a_phrase_may_itself_be_written_otherwise() -> None:
    assert found("the plan", ["ｐｌａｎ"]) == ["plan"]


def test_quotes_and_dashes_are_as_good_as_others_of_their_kind() -> None:
    raw = 'It isn\'t, isn\u2019t, isn`t; co-op, co\u2011op \u201cnow\u201d, "now"'
    phrases = ["isn\u2019t", "co\u2010op", '"now"']
    assert found(raw, phrases) == [
        *("isn't", "isn\u2019t", "isn`t", "co-op", "co\u2011op", "\u201cnow\u201d", '"now"')
    ]


def test_phrases_that_overlap_are_all_found() -> None:
    assert found("abcd", ["abc", "bcd", "xyz"]) == ["abc", "bcd"]


def test_a_pattern_is_found_without_a_phrase() -> None:
    assert found("BB-1234, bb-1234, BB-12", patterns=["BB-[0-9]{4}"]) == ["BB-1234"]
    assert found("é😀 BB-1234 é", patterns=["BB-[0-9]{4}"]) == ["BB-1234"]


def test_patterns_cover_all_that_a_match_from_anywhere_takes() -> None:
    assert found("-ababa-", patterns=["aba"]) == ["ababa"]
    assert found("-abc-", patterns=["ab|abc"]) == ["abc"]


def test_lists_call_what_they_deny_by_their_names() -> None:
    config = safety_pb2.DenyDetector(
        phrases=["bluebird"],
        lists=[
            safety_pb2.DenyList(
                name="rivals", phrases=["Acme Stra\u00dfe"], patterns=["AC[0-9]{2}"]
            ),
            safety_pb2.DenyList(name="plans", phrases=["old plan"]),
        ],
    )
    raw = "ACME STRASSE, AC12, bluebird, the old  plan"
    findings = deny(config).find(Text(raw, Source.USER))
    assert [(one.category, raw[one.start : one.end]) for one in findings] == [
        *(("rivals", "ACME STRASSE"), ("rivals", "AC12")),
        *(("phrase", "bluebird"), ("plans", "old  plan")),
    ]


def test_neither_is_needed() -> None:
    assert found("anything") == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a(b", r"missing \)"),
        ("a*", "without end"),
        ("(?:ab){1,}", "without end"),
        ("a{600}", "of 600 characters"),
        (r"(a)\1", "invalid escape"),
    ],
)
def test_a_pattern_that_is_no_good_is_named(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(repr(pattern))}.*{reason}"):
        detector(patterns=["fine", pattern])


LETTERS = "abAB ßİ\n"
PATTERNS = st.lists(
    st.sampled_from(["ab?", "a.b", "[ab]{2,3}", "b{3}|ab", r"\ba?b", "(?i)B a"]), max_size=3
)


@settings(deadline=None)
@given(
    st.lists(st.text(LETTERS, min_size=1, max_size=4), max_size=4),
    PATTERNS,
    st.text(LETTERS, max_size=30),
    st.text(LETTERS, max_size=30),
)
def test_what_is_found_has_waited_in_a_stream(
    phrases: list[str], patterns: list[str], beginning: str, rest: str
) -> None:
    denied = detector(phrases, patterns)
    opened = denied.open_from(beginning)  # type: ignore[attr-defined]
    for finding in denied.find(Text(beginning + rest, Source.ANSWER)):
        assert 0 <= finding.start < finding.end <= len(beginning + rest)
        if finding.start < len(beginning) < finding.end <= finding.start + denied.reach:
            assert opened <= finding.start or finding.category == "pattern"


@pytest.mark.parametrize("beginning", ["PROJECT", "pr\u200boject", "рroject", "p r o j e c t"])
def test_what_is_written_otherwise_waits_too(beginning: str) -> None:
    denied = detector(["project bluebird"])
    assert denied.open_from(f"About {beginning}") == len("About ")  # type: ignore[attr-defined]


@settings(deadline=None)
@given(PATTERNS, st.text("ab B", max_size=30), st.integers(0, 30))
def test_what_patterns_cover_does_not_hang_on_where_the_search_begins(
    patterns: list[str], raw: str, start: int
) -> None:
    denied = detector(patterns=patterns)

    def covered(text: str, offset: int) -> set[int]:
        findings = denied.find(Text(text, Source.ANSWER))
        return {at + offset for f in findings for at in range(f.start, f.end)}

    reach = denied.reach
    inner = {at for at in covered(raw, 0) if at >= start + reach}
    assert inner == {at for at in covered(raw[start:], start) if at >= start + reach}


def test_many_findings_are_no_burden() -> None:
    assert len(found("bad word, " * 10_000, ["bad word"])) == 10_000
    assert found("a" * 100_000, patterns=["a{1,50}"]) == ["a" * 100_000]
    found("ab" * 100_000, ["ab" * 100 + "c", "b" * 200])


def test_halves_of_characters_are_no_bar() -> None:
    assert found("\ud800 bad \udfff 12", ["bad"], ["[0-9]{2}"]) == ["bad", "12"]
