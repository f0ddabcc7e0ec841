"""The trained part of the classifier, as its files hold it."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.safety.classifier.categories import CONTENT, JUDGEMENTS, OUTPUTS

FOLDER = Path(__file__).parents[3] / "models" / "safety"

_WEIGHTS, _FIGURES = "classifier.npz", "classifier.json"
_LEXICON = "lexicon"
_SCALE = ".scale"


class Mixture(msgspec.Struct, frozen=True):
    """How what the encoder and the words say of one judgement become its logit."""

    encoder: float
    words: float
    constant: float


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured when the model was made."""

    layers: int
    outputs: tuple[str, ...]
    ranges: dict[str, tuple[float, float]]
    """By the name of a layer: the lowest and the highest value that it is given."""
    mixtures: dict[str, Mixture]
    """By judgement."""
    thresholds: dict[str, float]
    """By judgement, and for `content`: the score that 1 % of harmless texts reach."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A trained model, without the base that it was trained on."""

    figures: Figures
    weights: dict[str, NDArray[np.float32]]
    lexicon: NDArray[np.float32]

    @classmethod
    def read(cls, folder: Path = FOLDER) -> Self:
        """Read the files of a folder.

        Raises:
            OSError: a file is missing.
            ValueError: a file is broken, or is of another version.
        """
        file = folder / _FIGURES
        try:
            figures = msgspec.json.decode(file.read_bytes(), type=Figures)
        except msgspec.DecodeError as error:
            raise ValueError(f"{file} does not tell what a classifier needs: {error}") from None
        if figures.outputs != OUTPUTS or any(
            given.keys() != set(needed)
            for given, needed in (
                (figures.mixtures, JUDGEMENTS),
                (figures.thresholds, (*JUDGEMENTS, CONTENT)),
            )
        ):
            raise ValueError(f"{file} is of a classifier that tells other things")
        file = folder / _WEIGHTS
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
                arrays = dict(stored.items())
            lexicon = np.ascontiguousarray(_whole(arrays, _LEXICON).T)
            names = [name for name in arrays if not name.endswith(_SCALE) and name != _LEXICON]
            return cls(figures, {name: _whole(arrays, name) for name in names}, lexicon)
        except (ValueError, EOFError, LookupError, zipfile.BadZipFile) as error:
            raise ValueError(f"{file} is no weights of a classifier: {error}") from None

    def write(self, folder: Path) -> None:
        """Write the files; matrices as int8 with a scale a row."""
        arrays: dict[str, Any] = dict(_rounded(_LEXICON, self.lexicon.T))
        for name, value in self.weights.items():
            arrays |= _rounded(name, value) if value.ndim > 1 else {name: value}
        np.savez_compressed(folder / _WEIGHTS, **arrays)
        figures = msgspec.to_builtins(self.figures)
        text = json.dumps(figures, indent=2) + "\n"
        (folder / _FIGURES).write_text(text, encoding="utf-8")


def _rounded(name: str, value: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    scale = np.abs(value).max(axis=1, keepdims=True) / 127
    return {name: np.rint(value / scale).astype(np.int8), name + _SCALE: scale.astype(np.float32)}


def _whole(arrays: dict[str, NDArray[np.generic]], name: str) -> NDArray[np.float32]:
    scale = arrays.get(name + _SCALE)
    value = arrays[name].astype(np.float32)
    return value if scale is None else value * scale.astype(np.float32)
