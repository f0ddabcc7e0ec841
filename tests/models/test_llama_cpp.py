"""llama.cpp reads the same GGUF files: it finds the same tokens, and says the same."""

import json
import unicodedata
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from infra.models.prepare import prepare
from tests.inference.openai.llama import llama_server
from tests.models import reference
from tests.models.making import pocket_weights, write_gguf
from tests.models.test_architectures import IDS, drawn, facts, plain, shape_of, write_texts

TEXTS = (
    "I'LL pay $12345.67\r\n\n  now, é٣४ HTTPServer it's We've ﬁ  \t x=1;\n\n\n\"quoted\"",
    "  two spaces, then 日本語テキスト。 русский текст 123 4567 89",
    "a'b 'S don't CAN'T \u00a0no-break\u3000wide $$$ ... --- 😀👍🏽 1\u0660\u0966",
)


def call(api: str, path: str, **body: Any) -> Any:
    """Ask llama.cpp's own API, which is beside OpenAI's."""
    url = f"{api.removesuffix('/v1')}/{path}"
    asked = urllib.request.Request(  # noqa: S310 - on loopback
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


@pytest.mark.parametrize("pre", ["gpt-2", "llama-bpe", "qwen2", "smollm", "tekken", "default"])
def test_it_finds_the_same_tokens(pre: str, tmp_path: Path) -> None:
    file = tmp_path / "pocket.gguf"
    write_gguf(file, pocket_weights(), pre=pre)
    folder = prepare(str(file), tmp_path / "cache")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with llama_server(tmp_path) as api:
        for text in TEXTS:
            # llama.cpp leaves out the normalisation that Qwen's own tokenizer begins with.
            normal = unicodedata.normalize("NFC", text)
            found = call(api, "tokenize", content=normal, add_special=False)["tokens"]
            assert tokenizer.encode(text, add_special_tokens=False).ids == found


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3"])
def test_it_computes_the_same(name: str, tmp_path: Path) -> None:
    told, shape = facts(name), shape_of(name)
    weights, texts = drawn(shape), write_texts(tmp_path / "texts", told)
    stretched = plain(told) / shape.frequencies
    more = {"rope_freqs.weight": stretched} if name == "llama" else {}
    write_gguf(tmp_path / "pocket.gguf", weights, texts, architecture=name, more=more)
    with llama_server(tmp_path) as api:
        asked = {"prompt": IDS, "n_predict": 6, "temperature": 0, "return_tokens": True}
        tokens = call(api, "completion", **asked, ignore_eos=True)["tokens"]
    expected = list(IDS)
    for _ in range(6):
        expected.append(int(np.argmax(reference.logits(weights, shape, expected)[-1])))
    assert tokens == expected[len(IDS) :]
