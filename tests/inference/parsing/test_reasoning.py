"""Thoughts are told apart from the answer, however the text comes in."""

from functools import partial

import pytest
from hypothesis import given, settings

from services.inference.parsing.reasoning import think
from services.inference.parsing.source import Kind, Parser, Reading, Source
from tests.inference.parsing.reading import CUTS, Shown, alternating, cut, raw, shown


def thinking(source: Source, *, is_open: bool = False) -> Reading[None]:
    yield from think(source, is_open=is_open)
    yield from source.rest(Kind.TEXT)


opened = partial(thinking, is_open=True)


@pytest.mark.parametrize(
    ("text", "reasoning", "said"),
    [
        ("<think>Hm.</think>Yes.", "Hm.", "Yes."),
        ("\n<think>\nHm.\n</think>\n\nYes.\n", "Hm.\n", "Yes.\n"),
        ("Yes.", "", "Yes."),
        (" Yes. <think>no</think>", "", " Yes. <think>no</think>"),
        ("<thinking>", "", "<thinking>"),
        ("<think>cut off </thin", "cut off </thin", ""),
        ("<think></think>", "", ""),
        ("<think>a <think> b</think> c</think>", "a <think> b", "c</think>"),
        (" " * 40 + "<think>", "", " " * 40 + "<think>"),
        ("<thin", "", "<thin"),
        ("", "", ""),
    ],
)
def test_thoughts_that_the_model_opens(text: str, reasoning: str, said: str) -> None:
    assert shown(thinking, text) == Shown(said, reasoning)
    assert shown(thinking, *text) == Shown(said, reasoning)


@pytest.mark.parametrize(
    ("text", "reasoning", "said"),
    [
        ("Hm.\n</think>\n\nYes.", "Hm.\n", "Yes."),
        ("<think>\nHm.</think>Yes.", "Hm.", "Yes."),
        ("all of it", "all of it", ""),
        ("</think>Yes.", "", "Yes."),
    ],
)
def test_thoughts_that_the_prompt_has_opened(text: str, reasoning: str, said: str) -> None:
    assert shown(opened, text) == Shown(said, reasoning)
    assert shown(opened, *text) == Shown(said, reasoning)


def test_what_cannot_be_a_marker_is_shown_at_once() -> None:
    parser = Parser(opened)
    assert [part.shown for part in parser.push("I think <b </thi")] == ["I think <b "]
    assert [part.shown for part in parser.push("s, so")] == ["</this, so"]


TEXTS = alternating("<think>", "</think>", "<thi", "nk>", "</", "\n", " ")


@settings(deadline=None)
@given(TEXTS, CUTS)
def test_it_does_not_matter_how_a_text_is_cut(text: str, cuts: list[int]) -> None:
    for read in (thinking, opened):
        pieces = cut(text, cuts)
        assert shown(read, *pieces) == shown(read, text)
        assert raw(read, *pieces) == text
