"""Texts are cut as the models' own tokenizers cut them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from infra.models.prepare import prepare
from infra.models.pretokenizers import PRETOKENIZERS
from tests.models.making import POCKET, pocket_weights, write_gguf

TEXT = "I'LL pay $12345.67\r\n\n  now, é٣४ HTTPServer"
CUTS = {
    "gpt-2": "I|'|LL| pay| $|12345|.|67|\r\n\n | now|,| é|٣४| HTTPServer",
    "llama-bpe": "I|'LL| pay| $|123|45|.|67|\r\n\n| | now|,| é|٣४| HTTPServer",
    "qwen2": "I|'LL| pay| $|1|2|3|4|5|.|6|7|\r\n\n| | now|,| é|٣|४| HTTPServer",
    "smollm": "I|'|LL| pay| $|1|2|3|4|5|.|6|7|\r\n\n | now|,| é|٣|४| HTTPServer",
    "tekken": "I|'LL| pay| $|1|2|3|4|5|.|6|7|\r\n\n| | now|,| é|٣|४| HTTPServer",
    "default": "I|'|LL| pay| |$|123|45|.|67|\r\n\n | now|,| é|٣४| HTTPServer",
}


@pytest.mark.parametrize("name", CUTS)
def test_a_text_is_cut_into_words(name: str) -> None:
    assert "|".join(words(name, TEXT)) == CUTS[name]


def words(name: str, text: str) -> list[str]:
    kind = PRETOKENIZERS[name]
    spec: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": kind.normalizer,
        "pre_tokenizer": kind.steps,
        "model": {"type": "BPE", "vocab": {}, "merges": []},
    }
    cutter = Tokenizer.from_str(json.dumps(spec)).pre_tokenizer
    assert cutter is not None
    return [text[start:end] for _, (start, end) in cutter.pre_tokenize_str(text)]


@pytest.fixture(scope="module")
def from_gguf(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(folder / "it.gguf", pocket_weights())
    made: Path = prepare(str(folder / "it.gguf"), folder / "cache")
    return Tokenizer.from_file(str(made / "tokenizer.json"))


@given(st.text(max_size=200) | st.sampled_from(["<|user|>", "a<|end|>b", "cache  cache\n"]))
@settings(deadline=None)
def test_a_gguf_file_has_the_tokens_of_the_model(from_gguf: Tokenizer, text: str) -> None:
    own = Tokenizer.from_file(str(POCKET / "tokenizer.json"))
    assert from_gguf.encode(text).ids == own.encode(text).ids
    assert from_gguf.decode(own.encode(text).ids) == own.decode(own.encode(text).ids)
