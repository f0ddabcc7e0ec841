"""How a text is cut into words before its bytes are merged, by the names that GGUF files give.

The expressions are those of the models' own tokenizers.
"""

from dataclasses import dataclass
from typing import Any

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_LLAMA3 = rf"{_CONTRACTIONS}|{_LETTERS}|\p{{N}}{{1,3}}|{_REST}"
_QWEN2 = rf"{_CONTRACTIONS}|{_LETTERS}|\p{{N}}|{_REST}"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class Pretokenizer:
    """What is done to a text before its bytes are merged."""

    steps: dict[str, Any]
    """As it stands in `tokenizer.json`."""
    normalizer: dict[str, Any] | None = None
    ignores_merges: bool = False
    """A word that is a token is that token, whatever the merges would make of it."""


def byte_level(*, cuts: bool) -> dict[str, Any]:
    """Write bytes as characters; where it `cuts`, into words first, as GPT-2 did."""
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": cuts,
    }


def _then_bytes(*steps: dict[str, Any], cuts: bool = False) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": [*steps, byte_level(cuts=cuts)]}


def _split(expression: str) -> dict[str, Any]:
    return {
        "type": "Split",
        "pattern": {"Regex": expression},
        "behavior": "Isolated",
        "invert": False,
    }


_GPT2 = Pretokenizer(byte_level(cuts=True))
_DEFAULT = Pretokenizer(
    _then_bytes(
        _split(r"[\p{P}\$\+<=>\^~\|]+"),
        _split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"),
        _split(r"\p{N}+"),
        _split("[0-9][0-9][0-9]"),
    )
)
_DIGITS = Pretokenizer(_then_bytes({"type": "Digits", "individual_digits": True}, cuts=True))
_QWEN = Pretokenizer(_then_bytes(_split(_QWEN2)), normalizer={"type": "NFC"})
_LLAMA = Pretokenizer(_then_bytes(_split(_LLAMA3)), ignores_merges=True)

PRETOKENIZERS = {
    "gpt-2": _GPT2,
    "default": _DEFAULT,
    "llama-bpe": _LLAMA,
    "llama3": _LLAMA,
    "qwen2": _QWEN,
    "deepseek-r1-qwen": _QWEN,
    "smollm": _DIGITS,
    "starcoder": _DIGITS,
    "tekken": Pretokenizer(_then_bytes(_split(_TEKKEN)), ignores_merges=True),
}
"""By the name in `tokenizer.ggml.pre`."""
