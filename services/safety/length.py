"""Finds texts of too many tokens, by the count of the encoder's tokenizer."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tokenizers import Tokenizer

from catenary.config.v1 import safety_pb2
from infra.embedding import package
from infra.embedding.tokenizer import read_tokenizer
from services.safety.detector import Detector, Finding, Text

_NAME = "length"
_TOO_LONG = "too_long"
# Of a character the tokenizer makes at most as many as it comes apart into.
_MOST_TOKENS_PER_CHARACTER = 4
# Counted at a time, so that a long text is counted no further than needed.
_PIECE = 10_000
# Longer words are one unknown token to the tokenizer, however long they are.
_LONG_WORD = re.compile(r"\S{64}")


@dataclass(frozen=True, slots=True)
class _Length:
    max_tokens: int
    name: str = _NAME
    threshold: float = 0.5
    reach: int = 0

    def find(self, text: Text) -> Sequence[Finding]:
        most = len(text.raw) * (1 if text.raw.isascii() else _MOST_TOKENS_PER_CHARACTER)
        if most <= self.max_tokens or not self._is_longer(text.raw):
            return []
        return [Finding(0, len(text.raw), _NAME, _TOO_LONG, 1.0)]

    def _is_longer(self, text: str) -> bool:
        tokenizer, tokens = _tokenizer(), 0
        for piece in _pieces(text):
            words = _LONG_WORD.sub(r"\g<0> ", piece)
            tokens += len(tokenizer.encode(words, add_special_tokens=False).ids)
            if tokens > self.max_tokens:
                return True
        return False


def length(config: safety_pb2.LengthDetector) -> Detector:
    """Build the detector.

    Raises:
        OSError: the tokenizer's package is not installed.
    """
    _tokenizer()
    return _Length(config.max_tokens)


@lru_cache(maxsize=1)
def _tokenizer() -> Tokenizer:
    return read_tokenizer(package.folder() / "tokenizer.json")


def _pieces(text: str) -> Iterator[str]:
    """Cut a text behind blanks, where it has any."""
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            end = text.rfind(" ", start, end) + 1 or end
        # Halves of characters are none that could be counted.
        yield text[start:end].encode("utf-8", "replace").decode()
        start = end
