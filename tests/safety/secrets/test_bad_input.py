"""Texts made to be slow, to be many, or to be no text: each test ends long before its time."""

import pytest

from services.safety.detector import Source, Text
from services.safety.secrets.detector import secrets

DETECTOR = secrets()
MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "0",
        "aA1",
        "/",
        '"',
        "\ud800",
        "password=",
        'key="',
        "a://b:",
        "eyJ",
        "AKIA",
        "$1$",
        "okta 00",
        "-----BEGIN " + "PRIVATE KEY-----\n",
        "commit 42b609715f94d8bcccc0ec1824a824738f611cd4 ",
    ],
)
def test_a_megabyte_of_bait_is_read_in_linear_time(unit: str) -> None:
    text = unit * (MEGABYTE // len(unit))
    found = DETECTOR.find(Text(text, Source.USER))
    assert all(0 <= one.start < one.end <= len(text) for one in found)


def test_ten_thousand_secrets_are_all_found() -> None:
    text = "".join(f"AKIA{number:016d}\n" for number in range(10_000))
    found = DETECTOR.find(Text(text, Source.USER))
    assert [text[one.start : one.end] for one in found] == text.split()


def test_places_are_right_behind_characters_of_any_size() -> None:
    token = "AKIA" + "Z" * 16
    text = f"Ключ \ud800 🗝️ 鍵 ﷽ é: {token} 🗝️"
    [found] = DETECTOR.find(Text(text, Source.USER))
    assert text[found.start : found.end] == token


def test_an_empty_text_holds_nothing() -> None:
    assert DETECTOR.find(Text("", Source.USER)) == []
