"""Examples cut into windows, with the tokens that the encoder reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from services.safety.classifier.categories import OUTPUTS
from services.safety.classifier.windows import spans
from services.safety.detector import Source, Text
from training.safety.examples import Example

MAX_TOKENS = 160
"""Of a window, in training: a few windows in other scripts than the Latin are cut."""
_MOST_WINDOWS = 12
# So many bytes of an attack tell which windows it is in.
_RECOGNISED = 48
# What a text of our own counts for, beside one of the rows: it is one hand's.
_OURS = 0.3


@dataclass(frozen=True, slots=True)
class Prepared:
    """One example."""

    example: Example
    windows: Sequence[bytes]
    tokens: Sequence[Sequence[int]]
    """Of each window."""
    telling: Sequence[int]
    """The windows to learn from: where the attack is, if that is known."""
    targets: NDArray[np.float32]
    """By output; NaN where nothing is known."""


def prepare(examples: Iterable[Example], tokenizer: Tokenizer) -> list[Prepared]:
    """Cut each text, with what was hidden in it, into windows."""
    return [_prepared(example, tokenizer) for example in examples]


def _prepared(example: Example, tokenizer: Tokenizer) -> Prepared:
    windows: list[bytes] = []
    attack = example.attack.encode("utf-8", "replace")[:_RECOGNISED]
    for view in Text(example.text, Source.USER).views:
        content = view.text.encode("utf-8", "replace")
        windows += [content[start:end] for start, end in spans(len(content))]
    if len(windows) > _MOST_WINDOWS:
        windows = windows[: _MOST_WINDOWS - 1] + windows[-1:]
    telling = [index for index, window in enumerate(windows) if attack in window]
    texts = [window.decode("utf-8", "ignore") for window in windows]
    tokens = [encoded.ids[:MAX_TOKENS] for encoded in tokenizer.encode_batch(texts)]
    targets = np.full(len(OUTPUTS), np.nan, np.float32)
    for name, value in example.targets.items():
        targets[OUTPUTS.index(name)] = value
    return Prepared(example, windows, tokens, telling or range(len(windows)), targets)


def shares(prepared: Sequence[Prepared]) -> NDArray[np.float64]:
    """Return how much each example counts: a source counts by the root of its rows."""
    sizes: dict[str, float] = {}
    for each in prepared:
        sizes[each.example.source] = sizes.get(each.example.source, 0.0) + each.example.weight
    weights = np.array([_share(p.example, sizes[p.example.source]) for p in prepared])
    return weights / weights.sum()


def _share(example: Example, size: float) -> float:
    if not example.weight:
        return 0.0
    ours = example.source.startswith(("own/", "written/"))
    return (_OURS if ours else 1.0) * example.weight / size**0.5
