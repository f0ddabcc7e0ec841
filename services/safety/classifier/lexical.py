"""What the words and the letters of a text say: a linear model over hashed pieces of it.

The pieces are runs of bytes of a few lengths, single words and pairs of words, of the text in
lower case. Each is a number between 0 and the size of the table of weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TABLE_BITS = 17
RUNS = (3, 4, 5)
"""The lengths of the runs of bytes."""

_BASE = np.uint32(0x01000193)
_SPREAD = np.uint32(0x9E3779B1)
_SHIFT = np.uint32(32 - TABLE_BITS)
# Keep words and pairs of words apart from runs of the same bytes.
_WORD, _PAIR = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
# What a letter counts for by its place in a word; after so many places they repeat.
_PLACES = 32
_POWERS = np.cumprod(np.full(_PLACES, _BASE, np.uint32), dtype=np.uint32)

_ASCII = range(128)
# Capital letters become small, all blanks and controls alike; bytes of other scripts stay.
_FOLD = np.arange(256, dtype=np.uint32)
_FOLD[:33] = 32
_FOLD[ord("A") : ord("Z") + 1] += 32
_IN_WORD = np.array([byte not in _ASCII or chr(byte).isalnum() for byte in range(256)])


class Pieces(NamedTuple):
    """The pieces of one kind in the order of the text."""

    starts: NDArray[np.int64]
    """Where each begins, in bytes."""
    numbers: NDArray[np.uint32]


def pieces(content: bytes) -> list[Pieces]:
    """Return the pieces of a text: the runs of each length, the words, and the pairs of words."""
    raw = np.frombuffer(content, np.uint8)
    folded = _FOLD[raw]
    edges = np.diff(_IN_WORD[raw].astype(np.int8), prepend=np.int8(0), append=np.int8(0))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    words = _words(folded, starts, ends)
    return [
        *(_runs(folded, length) for length in RUNS),
        Pieces(starts, _numbers(words ^ _WORD)),
        Pieces(starts[:-1], _numbers(words[:-1] * _PAIR + words[1:])),
    ]


class Lexicon:
    """The weights of all pieces; never changes."""

    def __init__(self, weights: NDArray[np.float32]) -> None:
        self._weights = weights
        """A row for each number, a column for each judgement."""

    def weigh(self, content: bytes, spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Return what speaks for each judgement in each part of a text, a row a part.

        It is the sum over the part's pieces, divided by the square root of how many there are.
        """
        kinds, bounds = pieces(content), np.array(spans)
        # A row more than there are pieces: a part may end behind the last.
        numbers = np.concatenate([*(kind.numbers for kind in kinds), np.zeros(1, np.uint32)])
        begins = np.cumsum([0, *(len(kind.starts) for kind in kinds[:-1])])
        edges = np.stack([np.searchsorted(kind.starts, bounds) for kind in kinds])
        counts = edges[..., 1] - edges[..., 0]
        edges += begins[:, None, None]
        # Every second sum is of what lies between two parts; that of an empty part is not empty.
        sums = np.add.reduceat(self._weights.take(numbers, axis=0), edges.ravel())[::2]
        sums = sums.reshape(*counts.shape, -1) * (counts > 0)[..., None]
        roots = np.sqrt(np.maximum(counts.sum(axis=0), 1))
        weighed: NDArray[np.float32] = (sums.sum(axis=0) / roots[:, None]).astype(np.float32)
        return weighed


def _runs(folded: NDArray[np.uint32], length: int) -> Pieces:
    count = max(0, len(folded) - length + 1)
    hashes = np.full(count, length, np.uint32)
    for place in range(length):
        hashes = hashes * _BASE + folded[place : place + count]
    return Pieces(np.arange(count), _numbers(hashes))


def _words(
    folded: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.uint32]:
    """Return a hash of each word."""
    if not len(starts):
        return np.zeros(0, np.uint32)
    lengths = ends - starts
    begins = np.cumsum(lengths) - lengths
    places = np.arange(lengths.sum()) - np.repeat(begins, lengths)
    letters = folded[np.repeat(starts, lengths) + places] * _POWERS[places % _PLACES]
    return np.add.reduceat(letters, begins, dtype=np.uint32)


def _numbers(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (hashes * _SPREAD) >> _SHIFT
