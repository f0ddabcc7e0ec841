"""Characters that are not seen are found, but where a script or an emoji needs them."""

# ruff: noqa: RUF001 - other scripts are what this is about.

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.config.v1 import safety_pb2
from services.safety.characters import characters
from services.safety.detector import Source, Text

DETECTOR = characters(safety_pb2.CharactersDetector())


def found(raw: str, before: str = "") -> list[tuple[int, int, str]]:
    findings = DETECTOR.find(Text(raw, Source.USER, before))
    return [(finding.start, finding.end, finding.category) for finding in findings]


@pytest.mark.parametrize(
    ("raw", "category"),
    [
        ("pass\u200bword", "zero_width"),
        ("pass\u200dword", "zero_width"),
        ("pass\u2060word", "zero_width"),
        ("pass\ufeffword", "zero_width"),
        ("pass\U000e0041word", "tag"),
        ("pass\ufe0fword", "variation_selector"),
        ("pass\u202eword", "direction"),
        ("pass\u2066word", "direction"),
        ("pass\ue000word", "private_use"),
        ("pass\x00word", "control"),
        ("pass\x1bword", "control"),
        ("pass\ud800word", "control"),
    ],
)
def test_what_is_not_seen_is_found(raw: str, category: str) -> None:
    assert found(raw) == [(4, 5, category)]


@pytest.mark.parametrize(
    "raw",
    [
        "Plain text,\n\twith lines.\r\nAnd an end.\x85",
        "👨\u200d👩\u200d👧 and 👍🏽 and ❤\ufe0f\u200d🔥",
        "1\ufe0f\u20e3 and #\ufe0f\u20e3",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "می\u200cخواهم",
        "क्\u200dष",
        "葛\U000e0100城市",
        "שלום \u200f(123)",
        "\u2067שלום\u2069 world",
        "\ufeffA byte order mark",
        "co\u00adoperation",
        "ﾠ한",
    ],
)
def test_what_a_script_or_an_emoji_needs_is_not(raw: str) -> None:
    assert found(raw) == []


def test_more_than_is_needed_is_found() -> None:
    assert found("می\u200c\u200cخواهم") == [(2, 4, "zero_width")]
    assert found("❤\ufe0f\ufe0f") == [(1, 3, "variation_selector")]


def test_an_override_is_found_in_any_script() -> None:
    assert found("שלום \u202eabc") == [(5, 6, "direction")]


def test_what_stood_before_counts() -> None:
    assert found("\u200d👧", before="👩") == []
    assert found("\u200dword", before="pass") == [(0, 1, "zero_width")]


def test_a_run_is_one_finding() -> None:
    assert found("a" + "\u200b\u200c" * 50 + "b") == [(1, 101, "zero_width")]


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_has_valid_findings_in_its_order(raw: str) -> None:
    spans = found(raw)
    assert spans == sorted(spans)
    assert all(0 <= start < end <= len(raw) for start, end, _ in spans)


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii", min_codepoint=32)))
def test_printed_ascii_has_none(raw: str) -> None:
    assert found(raw.replace("\x7f", "")) == []
