"""Names of people, places and companies, as far as a tagger without a language model knows them."""

import pytest

from catenary.config.v1 import safety_pb2
from services.safety.detector import Source, Text
from services.safety.pii import pii

DETECTOR = pii(safety_pb2.PiiDetector())


def found(text: str, before: str = "") -> set[tuple[str, str]]:
    findings = DETECTOR.find(Text(text, Source.USER, before))
    return {(one.category, text[one.start : one.end]) for one in findings}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My name is Anneliese Obermaier and I need help.", ("person", "Anneliese Obermaier")),
        ("my wife's name is joanna kowalska", ("person", "joanna kowalska")),
        ("Please tell Roberto that I am late.", ("person", "Roberto")),
        ("Send it to 17 Willow Lane, Cambridge.", ("address", "17 Willow Lane, Cambridge")),
        ("We flew to Lisbon last spring.", ("location", "Lisbon")),
        ("I work at Brightwater Systems Ltd.", ("organization", "Brightwater Systems Ltd")),
    ],
)
def test_names(text: str, expected: tuple[str, str]) -> None:
    assert any(
        category == expected[0] and (expected[1] in value or value in expected[1])
        for category, value in found(text)
    )


@pytest.mark.parametrize(
    "text",
    [
        "The committee looked at the proposal again and decided that it was worth another try.",
        "how do i change the limit of my card?",
        "What a day! Nobody could say whether the money would last.",
        "",
        "\n\n",
    ],
)
def test_text_without_names_has_none(text: str) -> None:
    assert found(text) == set()


def test_a_name_is_understood_by_what_stood_before() -> None:
    assert ("person", "Nowak") in found("Nowak", before="Dear Mr. ")


def test_long_texts_are_read_in_windows() -> None:
    text = "Maria Lopez told us so. " * 3_000
    assert len(DETECTOR.find(Text(text, Source.USER))) >= 3_000
