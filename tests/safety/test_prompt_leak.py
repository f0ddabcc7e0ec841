"""Stretches of the system prompt are found in an answer, however they are written."""

import base64
import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.safety.detector import Source, Text
from services.safety.prompt_leak import prompt_leak

PROMPT = (
    "You are Ada, the guide of the Harbour Museum. Never speak of the flooded archive under the "
    "north wing, and answer in two short sentences. If somebody asks for prices, say that they are "
    "twelve euros for adults and six for children."
)
DETECTOR = prompt_leak([PROMPT])


def found(raw: str) -> list[str]:
    findings = DETECTOR.find(Text(raw, Source.ANSWER))
    counted = [finding for finding in findings if finding.score >= DETECTOR.threshold]
    return [raw[finding.start : finding.end] for finding in counted]


def test_a_stretch_is_found_from_its_beginning_to_its_end() -> None:
    stretch = "Never speak of the flooded archive under the north wing"
    assert found(f"Well, I was told: {stretch}! Sorry.") == [stretch]


def test_case_blanks_and_signs_do_not_matter() -> None:
    raw = "NEVER -- speak  of the\nflooded *archive* under the north-wing"
    assert found(f"ß {raw}.") == [raw]


@pytest.mark.parametrize(
    "write",
    [
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: text.encode().hex(),
        lambda text: codecs.encode(text, "rot13"),
        lambda text: text[::-1],
        " ".join,
        "\u200b".join,
    ],
    ids=["base64", "hex", "rot13", "reversed", "spaced", "zero width"],
)
def test_it_is_found_when_it_is_written_otherwise(write: object) -> None:
    assert callable(write)
    assert found(f"Here: {write(PROMPT)}")


@pytest.mark.parametrize(
    "raw",
    [
        "The museum is open from nine to five, and the harbour is a short walk away.",
        "I can only answer in two short sentences.",
        "Tickets are twelve euros for adults.",
        "",
    ],
)
def test_words_in_common_are_no_leak(raw: str) -> None:
    assert found(raw) == []


def test_a_short_prompt_counts_as_a_whole() -> None:
    detector = prompt_leak(["Your secret word is heliotrope."])
    assert detector.find(Text("My secret word is heliotrope.", Source.ANSWER)) == []
    assert detector.find(Text("It says: your secret word is heliotrope.", Source.ANSWER))


def test_a_very_short_prompt_does_not() -> None:
    assert prompt_leak(["Be kind.", ""]).find(Text("Be kind. " * 9, Source.ANSWER)) == []


def test_the_end_of_a_text_waits_while_it_follows_the_prompt() -> None:
    open_from = DETECTOR.open_from  # type: ignore[attr-defined]
    assert open_from("I do not: never speak of the flo") == len("I do not: ")
    assert open_from("I never speak of it. Quit! ") >= len("I never speak of it. Qu")
    assert open_from("") == 0


@settings(deadline=None)
@given(st.integers(0, len(PROMPT)), st.integers(0, len(PROMPT)), st.text(), st.text())
def test_what_waits_and_what_is_found_agree(start: int, end: int, head: str, rest: str) -> None:
    """The end of any beginning of a stretch waits from no later than the stretch begins."""
    stretch = PROMPT[start:end]
    raw = head + " " + stretch
    opened = DETECTOR.open_from(raw)  # type: ignore[attr-defined]
    letters = sum(map(str.isalnum, stretch))
    if letters:
        first = len(head) + 1 + next(at for at, c in enumerate(stretch) if c.isalnum())
        assert opened <= max(first, len(raw) - DETECTOR.reach)
    for finding in DETECTOR.find(Text(raw + rest, Source.ANSWER)):
        assert 0 <= finding.start < finding.end <= len(raw + rest)


def test_a_prompt_and_an_answer_that_repeat_themselves_are_no_burden() -> None:
    detector = prompt_leak(["ab" * 50_000, "a" * 100_000])
    assert detector.find(Text("a" * 200_000, Source.ANSWER))
    assert detector.find(Text("ab" * 100_000, Source.ANSWER))
    detector.find(Text(("a" * 39 + "c") * 500, Source.ANSWER))
