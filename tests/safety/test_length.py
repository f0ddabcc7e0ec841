"""Texts of too many tokens are found, and counting ends where enough were counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.config.v1 import safety_pb2
from infra.embedding import package
from infra.embedding.tokenizer import read_tokenizer
from services.safety.detector import Source, Text
from services.safety.length import length

TOKENIZER = read_tokenizer(package.folder() / "tokenizer.json")


def is_too_long(raw: str, max_tokens: int) -> bool:
    findings = length(safety_pb2.LengthDetector(max_tokens=max_tokens)).find(Text(raw, Source.USER))
    assert [(f.start, f.end, f.category) for f in findings] in ([], [(0, len(raw), "too_long")])
    return bool(findings)


def test_the_limit_is_exact() -> None:
    assert not is_too_long("one two three, four", 5)
    assert is_too_long("one two three, four five", 5)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(1, 40))
def test_tokens_are_the_tokenizer_s(raw: str, max_tokens: int) -> None:
    tokens = len(TOKENIZER.encode(raw, add_special_tokens=False).ids)
    assert is_too_long(raw, max_tokens) == (tokens > max_tokens)


def test_a_character_may_be_several_tokens() -> None:
    assert is_too_long("각각", 5)
    assert not is_too_long("각각", 6)


def test_a_word_without_an_end_counts() -> None:
    assert is_too_long("x" * 1_000_000, 1000)


def test_text_in_pieces_is_counted_whole() -> None:
    assert not is_too_long("word " * 10_000, 10_000)
    assert is_too_long("word " * 10_001, 10_000)


@pytest.mark.parametrize("raw", ["", "\ud800", " " * 100_000])
def test_nothing_is_not_too_long(raw: str) -> None:
    assert not is_too_long(raw, 1)
