"""Mixes what encoder and words say, and sets thresholds, on rows that neither learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from services.safety.classifier.categories import CONTENT, DIRECT, HARM, JUDGEMENTS, PLANTED
from services.safety.classifier.stored import Mixture
from services.safety.evaluation.figures import threshold_at
from training.safety.examples import Example

FALSE_ALARMS = 0.01
_ROUNDS = 3
# Harmless texts that a moderator had to look at twice.
_CONTENT_ROWS = "openai_moderation/harmless"


@dataclass(frozen=True, slots=True)
class Judged:
    """An example, and the logits of its windows, by models that have not learnt from it."""

    example: Example
    encoder: NDArray[np.float32]
    """A row a window, a column an output."""
    words: NDArray[np.float32]
    """A row a window, a column a judgement."""


def mixture(judged: Sequence[Judged], judgement: str) -> Mixture:
    """Return how the two are best mixed, by logistic regression over the most telling windows."""
    column = JUDGEMENTS.index(judgement)
    known = [each for each in judged if judgement in each.example.targets and each.example.weight]
    targets = torch.tensor([each.example.targets[judgement] for each in known])
    weights = _balanced(known)
    mixed = Mixture(1.0, 1.0, 0.0)
    for _ in range(_ROUNDS):
        telling = [int(np.argmax(_logits(each, mixed, column))) for each in known]
        inputs = torch.tensor(
            [
                (each.encoder[window, column], each.words[window, column], 1.0)
                for each, window in zip(known, telling, strict=True)
            ]
        )
        mixed = _fitted(inputs, targets, weights)
    return mixed


def scores(judged: Sequence[Judged], mixed: Mixture, judgement: str) -> list[float]:
    """Return the score of each text, that of its most telling window."""
    column = JUDGEMENTS.index(judgement)
    logits = [float(_logits(each, mixed, column).max()) for each in judged]
    return [1 / (1 + float(np.exp(-logit))) for logit in logits]


def thresholds(judged: Sequence[Judged], mixtures: Mapping[str, Mixture]) -> dict[str, float]:
    """Return, for each judgement, the score that 1 % of the harmless texts reach.

    Harm in what is no request has a threshold of its own, by harmless texts about grave things.
    """
    content = [each for each in judged if each.example.source == _CONTENT_ROWS]
    requests = [each for each in judged if each.example.source != _CONTENT_ROWS]
    found = {name: _threshold(judged, mixtures[name], name) for name in (DIRECT, PLANTED)}
    found[HARM] = _threshold(requests, mixtures[HARM], HARM)
    found[CONTENT] = max(found[HARM], _threshold(content, mixtures[HARM], HARM))
    return found


def _threshold(judged: Sequence[Judged], mixed: Mixture, judgement: str) -> float:
    harmless = [each for each in judged if each.example.targets.get(judgement) == 0.0]
    return threshold_at(FALSE_ALARMS, scores(harmless, mixed, judgement))


def _logits(each: Judged, mixed: Mixture, column: int) -> NDArray[np.float32]:
    mixed_up = mixed.encoder * each.encoder[:, column] + mixed.words * each.words[:, column]
    return np.asarray(mixed_up + mixed.constant, np.float32)


def _fitted(inputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> Mixture:
    factors = torch.tensor([1.0, 1.0, 0.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([factors], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = functional.binary_cross_entropy_with_logits(inputs @ factors, targets, weights)
        value.backward()
        return value

    optimizer.step(loss)
    encoder, words, constant = factors.tolist()
    return Mixture(max(0.0, encoder), max(0.0, words), constant)


def _balanced(judged: Sequence[Judged]) -> torch.Tensor:
    """Let every source count by the root of its rows."""
    sizes: dict[str, float] = {}
    for each in judged:
        sizes[each.example.source] = sizes.get(each.example.source, 0.0) + 1.0
    return torch.tensor(
        [each.example.weight / sizes[each.example.source] ** 0.5 for each in judged]
    )
