"""Fits the weights of words and letters: logistic regression over the hashed pieces."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from services.safety.classifier.categories import JUDGEMENTS
from services.safety.classifier.lexical import TABLE_BITS, Lexicon, pieces
from services.safety.classifier.windows import words
from training.safety.prepared import Prepared, shares

_DECAY = 1.5e-6
_STEPS = 60
_SMOOTHING = 0.02


def features(content: bytes) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the numbers of a window's pieces, and how often each is there by the root of all."""
    numbers = np.concatenate([kind.numbers for kind in pieces(content)])
    found, counts = np.unique(numbers, return_counts=True)
    return found.astype(np.int64), (counts / max(1, len(numbers)) ** 0.5).astype(np.float32)


class _Product(torch.autograd.Function):
    """A sparse matrix times a dense one; the transposed, kept at hand, makes the way back fast."""

    @staticmethod
    def forward(context: Any, dense: Tensor, sparse: Tensor, transposed: Tensor) -> Tensor:
        context.save_for_backward(transposed)
        return sparse @ dense

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (transposed,) = context.saved_tensors
        return transposed @ gradients[0], None, None


def matrix(windows: Sequence[bytes]) -> Tensor:
    """Return the pieces of windows, a sparse row a window."""
    parts = [features(window) for window in windows]
    ends = np.cumsum([0, *(len(found) for found, _ in parts)])
    columns = np.concatenate([found for found, _ in parts])
    values = np.concatenate([counts for _, counts in parts])
    rows = np.repeat(np.arange(len(parts)), np.diff(ends))
    size = (len(parts), 1 << TABLE_BITS)
    return torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([rows, columns])),
        torch.from_numpy(values),
        size,
        is_coalesced=True,
    )


def weigh(weights: NDArray[np.float32], window: bytes) -> NDArray[np.float32]:
    """Return what the words of a window say, as the running classifier has it."""
    said: NDArray[np.float32] = words(window, [(0, len(window))], Lexicon(weights))[0]
    return said


def fit(prepared: Sequence[Prepared]) -> NDArray[np.float32]:
    """Return the weights, a row a piece and a column a judgement."""
    weight = shares(prepared)
    windows = [each.windows[index] for each in prepared for index in each.telling]
    counts = [len(each.telling) for each in prepared]
    weights = torch.from_numpy(np.repeat(weight / counts, counts)).float()[:, None]
    targets = torch.from_numpy(
        np.repeat(np.stack([each.targets[: len(JUDGEMENTS)] for each in prepared]), counts, axis=0)
    )
    known = ~targets.isnan()
    targets = targets.nan_to_num(0.0).clamp(_SMOOTHING, 1 - _SMOOTHING)
    pieces_of = matrix(windows)
    of_pieces = pieces_of.t().to_sparse_csr()
    pieces_of = pieces_of.to_sparse_csr()
    table = torch.zeros(1 << TABLE_BITS, len(JUDGEMENTS), requires_grad=True)
    constants = torch.zeros(len(JUDGEMENTS), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [table, constants], max_iter=_STEPS, history_size=8, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = _Product.apply(table, pieces_of, of_pieces) + constants
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        value = (losses * weights * known).sum() + _DECAY * table.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return table.detach().numpy()
