"""Judges texts: the windows of a text through the encoder, together with what their words say."""

import dataclasses
import hashlib
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from infra.embedding import package, weights
from infra.embedding.shape import Shape
from services.safety.classifier import graph
from services.safety.classifier.categories import JUDGEMENTS, OUTPUTS
from services.safety.classifier.lexical import Lexicon
from services.safety.classifier.stored import FOLDER, Stored
from services.safety.classifier.windows import windows
from services.safety.classifier.word_pieces import WordPieces
from services.safety.detector import Text

MAX_TOKENS = 256
"""Of a window; only in scripts that the encoder reads by the letter has one as many."""
MOST_REMEMBERED = 256
"""Texts whose judgement is kept, for the next detector that asks for it."""

# Lengths are padded to multiples of it: each other length costs the engine a preparation.
_TOKENS_STEP = 16
_MOST_AT_ONCE = 4


class Judgement(NamedTuple):
    """What is told of one window."""

    start: int
    end: int
    """The characters of the raw text."""
    scores: dict[str, float]
    """By output, from 0 to 1; the severity from 1 to 4."""


class Classifier:
    """The model, loaded; used by several threads at once."""

    def __init__(self, stored: Stored, base: Path) -> None:
        self.thresholds = stored.figures.thresholds
        self._mixtures = [stored.figures.mixtures[name] for name in JUDGEMENTS]
        self._lexicon = Lexicon(stored.lexicon)
        self._word_pieces = WordPieces(base / "tokenizer.json", MAX_TOKENS)
        self._requests = _requests(stored, base)
        self._remembered: OrderedDict[bytes, list[Judgement]] = OrderedDict()
        self._lock = threading.Lock()

    def judge(self, text: Text) -> list[Judgement]:
        """Return what is told of each window of a text and of its forms: at most a few windows."""
        key = hashlib.blake2b(text.raw.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        with self._lock:
            known = self._remembered.get(key)
        if known is None:
            known = self._judged(text)
            with self._lock:
                self._remembered[key] = known
                if len(self._remembered) > MOST_REMEMBERED:
                    self._remembered.popitem(last=False)
        return known

    def _judged(self, text: Text) -> list[Judgement]:
        return [
            Judgement(window.start, window.end, self._scores(logits, window.words))
            for window in windows(text.views, self._lexicon)
            for logits in [self._logits(self._word_pieces(window.text))]
        ]

    def _scores(self, logits: list[float], words: Sequence[float]) -> dict[str, float]:
        for index, mixture in enumerate(self._mixtures):
            logits[index] = (
                mixture.encoder * logits[index] + mixture.words * words[index] + mixture.constant
            )
        scores = {name: _chance(logit) for name, logit in zip(OUTPUTS, logits, strict=True)}
        scores["severity"] = min(4.0, max(1.0, logits[-1]))
        return scores

    def _logits(self, tokens: Sequence[int]) -> list[float]:
        padded = math.ceil(len(tokens) / _TOKENS_STEP) * _TOKENS_STEP
        ids, mask = np.zeros((1, padded), np.int32), np.zeros((1, padded), np.float32)
        ids[0, : len(tokens)] = tokens
        mask[0, : len(tokens)] = 1
        request = self._requests.get()
        try:
            logits: NDArray[np.float32] = request.infer([ids, mask], share_inputs=True)[0]
            return [float(logit) for logit in logits[0]]
        finally:
            self._requests.put(request)


@cache
def load(folder: Path = FOLDER) -> Classifier:
    """Return the model of a folder, on the base that comes with its package; loaded once.

    Raises:
        OSError: a file is missing, or the base's package is.
        ValueError: a file is not what it should be.
    """
    return Classifier(Stored.read(folder), package.folder())


def _requests(stored: Stored, base: Path) -> "SimpleQueue[Any]":
    """Compile the graph, and run the longest window.

    The first run takes 50 ms; after it, the first of any length takes 10 ms longer than the next.
    """
    package.check(base)
    shape = dataclasses.replace(Shape.read(base), layers=stored.figures.layers)
    given = {**weights.read(base / "model.safetensors"), **stored.weights}
    at_once = min(_MOST_AT_ONCE, os.cpu_count() or 1)
    config = {
        "INFERENCE_NUM_THREADS": at_once,
        "NUM_STREAMS": at_once,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = ov.Core().compile_model(graph.build(given, shape, stored.figures.ranges), "CPU", config)
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(at_once):
        request = model.create_infer_request()
        request.infer([np.ones((1, MAX_TOKENS), np.int32), np.ones((1, MAX_TOKENS), np.float32)])
        requests.put(request)
    return requests


def _chance(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))
