"""Names of people, places and companies, as far as a tagger without a language model knows them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catenary.config.v1 import safety_pb2
from services.safety.detector import Source, Text
from services.safety.pii import pii
from services.safety.pii.detector import _tagger
from services.safety.pii.tagger import _WINDOW, _runs

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
        "Bitte vergiss meine letzte Frage.",
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
    sentence, count = "Maria Lopez told us so. ", 3_000
    text = f"{sentence * count}{'and so it was ' * 9}{sentence}"
    spans = list(_tagger().tag(text))
    # Each word once: a name is cut where a window ends, and else there is one a sentence.
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert count < len(spans) <= count + 1 + 8 * count // _WINDOW
    starts = {at * len(sentence) for at in range(count)} | {text.rindex("Maria")}
    assert starts <= {span.start for span in spans}


@given(st.sets(st.integers(0, 60)), st.integers(0, 5))
def test_runs_hold_what_tells_and_the_words_around_it(telling: set[int], around: int) -> None:
    count = 61
    runs = list(_runs(sorted(telling), count, around=around))
    assert all(end < begin for (_, end), (begin, _) in pairwise(runs))
    held = [index for begin, end in runs for index in range(begin, end)]
    near = {index + by for index in telling for by in range(-around, around + 1)}
    assert near & set(range(count)) <= set(held)
    for begin, end in runs:
        inside = [index for index in telling if begin <= index < end]
        assert begin in {0, min(inside) - around}
        assert end == min(count, max(inside) + around + 1)
