"""The bytes that each token stands for, from a Hugging Face `tokenizer.json`.

With them a completion is decoded byte by byte at a constant cost a token, whatever came before.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_MARKERS = frozenset(
    {
        *("<think>", "</think>", "<tool_call>", "</tool_call>", "<|python_tag|>"),
        *("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"),
    }
)
"""Tokens that are shown even where they are special: whoever asked takes the text apart by them."""

_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


class Vocabulary:
    """The tokens of a model: the bytes of each, and how text begins."""

    def __init__(self, tokens: Sequence[bytes], *, strip_first_space: bool) -> None:
        self.tokens = tokens
        """The bytes of each token, by id; empty for special tokens, which are not shown."""
        self.strip_first_space = strip_first_space
        """A text loses its first character if that is a space, which SentencePiece puts there."""

    @classmethod
    def read(cls, tokenizer: Path) -> "Vocabulary":
        """Read the vocabulary of a `tokenizer.json`.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not a tokenizer, or one whose tokens do not stand for bytes.
        """
        spec = json.loads(tokenizer.read_text(encoding="utf-8"))
        decoders = _decoders(spec.get("decoder"))
        kinds = {decoder["type"] for decoder in decoders}
        if "ByteLevel" in kinds:
            to_bytes = _byte_level
        elif kinds & {"ByteFallback", "Metaspace"}:
            to_bytes = _sentence_piece
        else:
            raise ValueError(f"{tokenizer}: cannot decode tokens with {sorted(kinds)}")
        texts = dict(_texts(spec["model"]["vocab"]))
        special: set[int] = set()
        for added in spec["added_tokens"]:
            texts[added["id"]] = added["content"]
            if added["special"] and added["content"] not in _MARKERS:
                special.add(added["id"])
        tokens = [b""] * (max(texts) + 1)
        for token, text in texts.items():
            if token not in special:
                tokens[token] = to_bytes(text)
        strips = any(d["type"] == "Strip" and d["content"] == " " and d["start"] for d in decoders)
        metaspace = any(
            d["type"] == "Metaspace" and d.get("prepend_scheme", "always") != "never"
            for d in decoders
        )
        return cls(tokens, strip_first_space=strips or metaspace)


def _decoders(decoder: dict[str, Any] | None) -> list[dict[str, Any]]:
    if decoder is None:
        return []
    return decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]


def _texts(vocab: dict[str, int] | list[list[Any]]) -> list[tuple[int, str]]:
    if isinstance(vocab, dict):
        return [(token, text) for text, token in vocab.items()]
    return [(token, entry[0]) for token, entry in enumerate(vocab)]


def _byte_level(text: str) -> bytes:
    # A token with any character outside the alphabet stands for its own text.
    if all(character in _ALPHABET for character in text):
        return bytes(_ALPHABET[character] for character in text)
    return text.encode()


def _sentence_piece(text: str) -> bytes:
    match = _BYTE_TOKEN.fullmatch(text)
    if match is not None:
        return bytes([int(match[1], 16)])
    return text.replace("\u2581", " ").encode()


def _alphabet() -> dict[str, int]:
    """Byte-level BPE writes printable bytes as themselves, the others from U+0100 on, in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + index): byte for index, byte in enumerate(others)
    }


_ALPHABET = _alphabet()
