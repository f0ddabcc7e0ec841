"""Text from tokens: whatever the tokens and however they are cut."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from infra.engine.text import TextStream
from infra.engine.vocabulary import Vocabulary
from services import config

FILE = Path(config.POCKET.path) / "tokenizer.json"
TOKENIZER = Tokenizer.from_file(str(FILE))
VOCABULARY = Vocabulary.read(FILE)
TOKENS = st.lists(st.integers(0, TOKENIZER.get_vocab_size() - 1), max_size=60)
STOPS = st.lists(st.text("abe \n.t", min_size=1, max_size=4), max_size=4)


def stream(
    vocabulary: Vocabulary, tokens: list[int], cuts: list[int], stops: list[str]
) -> tuple[list[str], TextStream]:
    """Push the tokens in pieces that end at the cuts."""
    text = TextStream(vocabulary, stops)
    edges = sorted({0, len(tokens), *(cut % (len(tokens) + 1) for cut in cuts)})
    pieces = [text.push(tokens[a:b]) for a, b in itertools.pairwise(edges)]
    return [*pieces, text.finish()], text


def truncated(text: str, stops: list[str]) -> str:
    """Cut a text before the stop string that is complete first, character by character."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return text[: end - len(max(ending, key=len))]
    return text


@given(TOKENS, st.lists(st.integers(0, 60)), STOPS)
def test_pieces_are_the_whole_text_up_to_the_first_stop(
    tokens: list[int], cuts: list[int], stops: list[str]
) -> None:
    whole = TOKENIZER.decode(tokens, skip_special_tokens=True)
    pieces, text = stream(VOCABULARY, tokens, cuts, stops)
    assert "".join(pieces) == truncated(whole, stops)
    assert bool(text.matched_stop) == any(stop in whole for stop in stops)


@given(st.text(max_size=40), st.lists(st.integers(0, 200)))
def test_no_piece_holds_half_a_character(text: str, cuts: list[int]) -> None:
    tokens = TOKENIZER.encode(text, add_special_tokens=False).ids
    pieces, _ = stream(VOCABULARY, tokens, cuts, [])
    assert "".join(pieces) == TOKENIZER.decode(tokens)
    assert "\ufffd" not in "".join(pieces) or "\ufffd" in text


def test_an_emoji_of_many_tokens_comes_whole() -> None:
    tokens = TOKENIZER.encode("a👩‍👩‍👧b", add_special_tokens=False).ids
    text = TextStream(VOCABULARY)
    pieces = [text.push([token]) for token in tokens]
    assert len(tokens) > 10
    assert [piece for piece in pieces if piece] == ["a", "👩", "\u200d", "👩", "\u200d", "👧", "b"]


def test_text_is_held_back_only_while_it_may_become_a_stop_text() -> None:
    text = TextStream(VOCABULARY, ["stop here"])
    pieces = [
        text.push(TOKENIZER.encode(piece, add_special_tokens=False).ids)
        for piece in ("a sto", "p by", " st", "op here and more")
    ]
    assert pieces == ["a ", "stop by", " ", ""]
    assert text.matched_stop == "stop here"
    assert text.finish() == ""


def sentence_piece(tmp_path: Path) -> tuple[Tokenizer, Vocabulary]:
    """Return a tokenizer as Llama 2 has it: bytes as tokens, spaces as ▁."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words += ["▁", "h", "i", "▁hi", "é"]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={word: index for index, word in enumerate(words)},
            merges=[],
            unk_token="<unk>",  # noqa: S106 - a token of text
            byte_fallback=True,
        )
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    return tokenizer, Vocabulary.read(file)


def test_byte_tokens_of_sentence_piece_join_into_characters(tmp_path: Path) -> None:
    tokenizer, vocabulary = sentence_piece(tmp_path)
    emoji = [3 + byte for byte in "🎉".encode()]
    tokens = [1, 262, *emoji, 262, 263, 2]
    pieces, _ = stream(vocabulary, tokens, list(range(len(tokens))), [])
    assert "".join(pieces) == tokenizer.decode(tokens) == "hi🎉 hié"
    assert [piece for piece in pieces if piece] == ["hi", "🎉", " hi", "é"]


def test_a_tokenizer_without_bytes_is_refused(tmp_path: Path) -> None:
    spec: dict[str, Any] = json.loads(FILE.read_text())
    spec["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(spec))
    with pytest.raises(ValueError, match="cannot decode tokens with"):
        Vocabulary.read(file)
