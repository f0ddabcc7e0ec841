"""Turns a text into the numbers of its word pieces: plain English by looking its words up.

The tokenizer that comes with the model takes four times as long, and reads all that is not plain.
"""

import re
from pathlib import Path

from tokenizers import Tokenizer

from infra.embedding.tokenizer import read_tokenizer

_PLAIN = re.compile(r"[\t\n\r -~]*")
_WORD = re.compile(r"[a-z0-9]+|[!-~]")
# A longer word is not known, whatever its pieces.
_MOST_LETTERS = 100


class WordPieces:
    """The vocabulary of a BERT that knows no capitals; used by several threads at once."""

    def __init__(self, file: Path, most: int) -> None:
        """Read a tokenizer.json; texts are cut to so many tokens.

        Raises:
            OSError: there is no such file.
            ValueError: it is no tokenizer.
        """
        self._tokenizer: Tokenizer = read_tokenizer(file)
        self._tokenizer.enable_truncation(most)
        self._most = most
        self._numbers: dict[str, int] = self._tokenizer.get_vocab()
        self._longest = max(map(len, self._numbers))
        special = self._tokenizer.get_added_tokens_decoder().values()
        self._special = [token.content for token in special]

    def __call__(self, text: str) -> list[int]:
        """Return the tokens of a text, the two that enclose it included."""
        if not _PLAIN.fullmatch(text) or any(token in text for token in self._special):
            # Unlike `encode`, it lets other threads run.
            read: list[int] = self._tokenizer.encode_batch_fast([text])[0].ids
            return read
        found = [self._numbers["[CLS]"]]
        for word in _WORD.findall(text.lower()):
            number = self._numbers.get(word)
            if number is None:
                found += self._pieces(word)
            else:
                found.append(number)
        del found[self._most - 1 :]
        found.append(self._numbers["[SEP]"])
        return found

    def _pieces(self, word: str) -> list[int]:
        """Return the pieces of a word, each as long as can be."""
        found: list[int] = []
        start, inside = 0, ""
        while start < len(word) <= _MOST_LETTERS:
            for end in range(min(len(word), start + self._longest), start, -1):
                number = self._numbers.get(inside + word[start:end])
                if number is not None:
                    break
            else:
                return [self._numbers["[UNK]"]]
            found.append(number)
            start, inside = end, "##"
        return found or [self._numbers["[UNK]"]]
