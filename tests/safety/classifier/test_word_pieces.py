"""Word pieces: looked up, they are those of the tokenizer that comes with the model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.embedding import package
from infra.embedding.tokenizer import read_tokenizer
from services.safety.classifier.word_pieces import WordPieces

FILE = package.folder() / "tokenizer.json"
MOST = 32
WORD_PIECES = WordPieces(FILE, MOST)
TOKENIZER = read_tokenizer(FILE)
TOKENIZER.enable_truncation(MOST)

PLAIN = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=300)
WORDS = st.lists(
    st.sampled_from(
        ["The", "unaffable", "x" * 101, "[SEP]", "##ing", "I'm", "3.14", "\x7f", "[UNK"]
    )
).map(" ".join)


@given(PLAIN | WORDS | st.text(max_size=100))
@settings(deadline=None, max_examples=300)
def test_any_text_has_the_tokenizers_pieces(text: str) -> None:
    assert WORD_PIECES(text) == TOKENIZER.encode(text).ids


@pytest.mark.parametrize("text", ["", "a " * MOST, "unaffable " * MOST])
def test_a_text_is_cut_as_the_tokenizer_cuts_it(text: str) -> None:
    assert WORD_PIECES(text) == TOKENIZER.encode(text).ids
    assert len(WORD_PIECES(text)) <= MOST
