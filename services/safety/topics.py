"""Finds texts about topics that are told by example sentences, through an embedding model."""

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from tokenizers import Tokenizer

from catenary.config.v1 import safety_pb2
from infra.embedding import package
from infra.embedding.batching import Ids, Vectors
from infra.embedding.model import Model
from infra.embedding.shape import Shape
from infra.embedding.tokenizer import read_tokenizer
from services.safety.detector import Detector, Finding, Text

_NAME = "topics"
_OFF_TOPIC = "off_topic"

# Cosines between a text and the nearest example of a topic; the README says how they were measured.
_ABOUT, _NOT_ABOUT = 0.35, 0.2

# A text is judged by pieces of so many tokens; a long one by so many pieces, from all over it.
_PIECE_TOKENS, _MOST_PIECES = 64, 32
# Characters that are tokenised for one piece.
_PIECE_CHARS = 4 * _PIECE_TOKENS


class _Encoder:
    """The embedding model, for callers in any thread, one after the other."""

    def __init__(self) -> None:
        folder = package.folder()
        package.check(folder)
        self._tokenizer: Tokenizer = read_tokenizer(folder / "tokenizer.json")
        self._model = Model.read(folder, Shape.read(folder), "bf16")
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Return a vector of length 1 for each text, by its beginning where it is long."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        ids: list[Ids] = [_cut(encoding.ids) for encoding in encodings]
        with self._lock:
            return np.concatenate([self._model([text]).copy() for text in ids])


class _Topics:
    """The examples of each topic, as vectors."""

    name = _NAME
    reach = 0

    def __init__(self, config: safety_pb2.TopicsDetector) -> None:
        self.threshold = 1 - _NOT_ABOUT if config.only else _ABOUT
        self._only = config.only
        self._encode = _encoder()
        self._topics = [
            (topic.name, self._encode(topic.examples).transpose()) for topic in config.topics
        ]

    def find(self, text: Text) -> Sequence[Finding]:
        places = list(_pieces(text.raw))
        if not places:
            return []
        vectors = self._encode([_readable(text.raw[start:end]) for start, end in places])
        nearest = {name: (vectors @ examples).max(axis=1) for name, examples in self._topics}
        if self._only:
            nearest = {_OFF_TOPIC: 1 - np.max(list(nearest.values()), axis=0)}
        return [
            Finding(start, end, _NAME, name, float(min(1.0, max(0.0, score))))
            for name, scores in nearest.items()
            for (start, end), score in zip(places, scores, strict=True)
        ]


def topics(config: safety_pb2.TopicsDetector) -> Detector:
    """Build the detector; loading the model takes about a second.

    Raises:
        OSError: the model's package is not installed.
        ValueError: the model is another one.
    """
    return _Topics(config)


@lru_cache(maxsize=1)
def _encoder() -> _Encoder:
    return _Encoder()


def _cut(ids: Ids) -> Ids:
    """Cut a text, leaving the token that ends it."""
    return ids if len(ids) <= _PIECE_TOKENS else [*ids[: _PIECE_TOKENS - 1], ids[-1]]


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text behind blanks; leave out some of many pieces, and those without letters."""
    starts = range(0, len(text), _PIECE_CHARS)
    step = max(1, -(-len(starts) // _MOST_PIECES))
    for start in starts[::step]:
        end = min(len(text), start + _PIECE_CHARS)
        if any(map(str.isalpha, text[start:end])):
            yield start, end


def _readable(text: str) -> str:
    """Replace halves of characters, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode()
