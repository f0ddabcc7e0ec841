"""A text's words, and what a tagger sees of each: the same for training and for use."""

import re
from collections.abc import Mapping, Sequence
from enum import IntFlag
from itertools import accumulate
from typing import NamedTuple
from zlib import crc32

# Blanks, figures, letters, a line's end, or one sign: every character belongs to one, and each is
# one class of characters, so time is linear.
_PIECE = re.compile(r"[^\S\n]+|\d+|[^\W\d_]+|\n|[^\w\s]|_")
_LONG = 4
BUCKETS = 1 << 15
"""Of features; two that share one are taken for the same."""


class Word(NamedTuple):
    """One word and where it stands."""

    text: str
    start: int
    end: int


class Known(IntFlag):
    """What a word may be, as the lexicon knows."""

    FIRST_NAME = 1
    SURNAME = 2
    PLACE = 4
    COUNTRY = 8
    NATIONALITY = 16
    COMMON = 32
    STREET = 64
    COMPANY = 128
    OCCUPATION = 256


_BITS = [int(bit) for bit in Known]


def words(text: str) -> list[Word]:
    """Return the words, line ends and signs of a text."""
    return placed(pieces(text))


def pieces(text: str) -> list[str]:
    """Return the text cut into words, line ends, signs and blanks."""
    return _PIECE.findall(text)


def placed(cut: Sequence[str]) -> list[Word]:
    """Return the pieces that are no blanks, with where they stand."""
    ends = accumulate(map(len, cut))
    return [
        Word(piece, end - len(piece), end)
        for piece, end in zip(cut, ends, strict=True)
        if piece == "\n" or not piece.isspace()
    ]


def shape(word: str) -> str:
    """Return how a word is written: `Xx`, `XX`, `X`, how many figures, or the sign itself."""
    if word.isdigit():
        return f"{min(len(word), 6)}"
    if not word.isalpha():
        return word
    if word.islower():
        return "x" if len(word) == 1 else "xx"
    if word.isupper():
        return "X" if len(word) == 1 else "XX"
    return "Xx" if word.istitle() else "xX"


def features(word: str, lexicon: Mapping[str, int], known: frozenset[str] | None) -> list[int]:
    """Return the buckets of what is seen of a word.

    Args:
        word: The word.
        lexicon: Bits by word in lower case.
        known: The words that are seen as themselves; all where there is none.
    """
    form = shape(word)
    lower = word.lower()
    bits = lexicon.get(lower, 0)
    seen = ["", f"s{form}", f"b{bits}", f"b{bits}{form}"]
    seen += [f"{bit}{form}" for bit in _BITS if bits & bit]
    if known is None or lower in known:
        seen.append(f"w{lower}")
    if lower.isalpha():
        seen += [f"p{lower[:3]}", f"e{lower[-2:]}", f"e{lower[-3:]}", f"l{min(len(word), 8)}{form}"]
        if len(lower) > _LONG:
            seen.append(f"e{lower[-4:]}")
        if not lower.isascii():
            seen.append("latin" if max(lower) < "ɐ" else "other script")
    return [crc32(one.encode(errors="replace")) % BUCKETS for one in seen]
