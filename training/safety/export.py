"""Turns what was trained into the stored model."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from services.safety.classifier.categories import OUTPUTS
from services.safety.classifier.stored import Figures, Mixture, Stored
from training.safety.encoder import LAYERS, Encoder
from training.safety.learning import judge

# Of what a layer is given, this share lies beyond the range, and is cut to it.
_BEYOND = 1e-5


def stored(
    encoder: Encoder,
    lexicon: NDArray[np.float32],
    windows: Sequence[Sequence[int]],
    mixtures: dict[str, Mixture],
    thresholds: dict[str, float],
) -> Stored:
    """Return the model, with the ranges that its layers are given for some windows."""
    figures = Figures(LAYERS, OUTPUTS, ranges(encoder, windows), mixtures, thresholds)
    return Stored(figures, encoder.trained(), lexicon)


def ranges(encoder: Encoder, windows: Sequence[Sequence[int]]) -> dict[str, tuple[float, float]]:
    """Return the lowest and the highest value that each layer is given, outliers left out."""
    seen: dict[str, list[tuple[float, float]]] = {}

    def watch(name: str, part: nn.Linear) -> torch.utils.hooks.RemovableHandle:
        def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            values = given[0].float().flatten().numpy()
            beyond = max(1, int(len(values) * _BEYOND))
            ordered = np.partition(values, [beyond, len(values) - 1 - beyond])
            pair = float(ordered[beyond]), float(ordered[-1 - beyond])
            seen.setdefault(name, []).append(pair)

        return part.register_forward_pre_hook(note)

    linear = {name: part for name, part in encoder.named_modules() if isinstance(part, nn.Linear)}
    hooks = [watch(name, part) for name, part in linear.items() if name != "head"]
    judge(encoder, windows)
    for hook in hooks:
        hook.remove()
    return {
        name: (min(low for low, _ in pairs), max(high for _, high in pairs))
        for name, pairs in seen.items()
    }
