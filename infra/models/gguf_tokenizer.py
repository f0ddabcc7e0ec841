"""The tokenizer and the chat template in a GGUF file, in Hugging Face's files."""

import json
from pathlib import Path
from typing import Any

from infra.models.errors import ModelError
from infra.models.gguf_file import GgufFile
from infra.models.pretokenizers import PRETOKENIZERS, byte_level
from infra.models.tokenizer import SETTINGS, TEMPLATE, TOKENIZER

_CONTROL, _USER_DEFINED = 3, 4
"""The types of tokens that are found in a text before anything else; the first are never shown."""


def write(file: GgufFile, folder: Path, context_tokens: int) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json`, the template and what ends an answer.

    Raises:
        ModelError: there is no tokenizer, none that is supported, or no template.
        OSError: a file cannot be written.
    """
    tokens = _list(file, "tokens")
    template = file.metadata.get("tokenizer.chat_template")
    if not isinstance(template, str):
        raise ModelError(file.path, "has no chat template: it is not made for conversations")
    (folder / TEMPLATE).write_text(template, encoding="utf-8")
    _write(folder / TOKENIZER, _tokenizer(file, tokens))
    special = {name: _token(file, tokens, name) for name in ("bos", "eos", "padding")}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": special["bos"],
        "eos_token": special["eos"],
        "pad_token": special["padding"],
        "clean_up_tokenization_spaces": False,
        "model_max_length": context_tokens,
    }
    _write(folder / SETTINGS, settings)
    ends = [file.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot")]
    known = sorted({token for token in ends if isinstance(token, int)})
    if not known:
        raise ModelError(file.path, "does not tell which token ends an answer")
    _write(folder / "generation_config.json", {"eos_token_id": known})


def _tokenizer(file: GgufFile, tokens: list[str]) -> dict[str, Any]:
    kind = file.metadata.get("tokenizer.ggml.model")
    if kind != "gpt2":
        raise ModelError(file.path, f"the tokenizer {kind!r} is not supported; 'gpt2' is")
    named = str(file.metadata.get("tokenizer.ggml.pre", "default"))
    if named not in PRETOKENIZERS:
        known = ", ".join(sorted(PRETOKENIZERS))
        raise ModelError(file.path, f"the pretokenizer {named!r} is not among {known}")
    pretokenizer = PRETOKENIZERS[named]
    types = file.metadata.get("tokenizer.ggml.token_type", [])
    if not isinstance(types, list) or len(types) not in {0, len(tokens)}:
        raise ModelError(file.path, "its tokens have no types")
    added = [
        _added(token, text, is_special=kind == _CONTROL)
        for token, (text, kind) in enumerate(zip(tokens, types, strict=False))
        if kind in {_CONTROL, _USER_DEFINED}
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": pretokenizer.normalizer,
        "pre_tokenizer": pretokenizer.steps,
        "post_processor": None,
        "decoder": byte_level(cuts=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pretokenizer.ignores_merges,
            "vocab": {text: token for token, text in enumerate(tokens)},
            "merges": _list(file, "merges"),
        },
    }


def _added(token: int, text: str, *, is_special: bool) -> dict[str, Any]:
    return {
        "id": token,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": is_special,
    }


def _list(file: GgufFile, name: str) -> list[str]:
    value = file.metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ModelError(file.path, f"has no tokenizer: there are no {name}")
    return [str(each) for each in value]


def _token(file: GgufFile, tokens: list[str], name: str) -> str | None:
    token = file.metadata.get(f"tokenizer.ggml.{name}_token_id")
    if not isinstance(token, int):
        return None
    if not 0 <= token < len(tokens):
        raise ModelError(file.path, f"its {name} token is {token}, of {len(tokens)} tokens")
    return tokens[token]


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
