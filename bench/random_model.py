"""Makes a Llama of a given size whose weights are chance, to measure how fast it is computed.

Run `python -m bench.random_model --params 0.5b FOLDER`. Its tokenizer is the pocket model's; what
it says means nothing, and it hardly ever ends by itself. The same size gives the same weights.
"""

import argparse
import json
import math
import shutil
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from infra.models import config, ir, tokenizer
from infra.models.architecture import Architecture, architecture
from infra.models.config import Config
from infra.models.tensors import Array
from infra.models.write import write
from services.config import POCKET

_HEAD = 64
_QUERIES_PER_KEY = 4
_MLP_WIDTH = 2.75
_HIDDEN_PER_LAYER = 64
_TEXTS = (tokenizer.TOKENIZER, tokenizer.SETTINGS, tokenizer.TEMPLATE, "generation_config.json")
_UNITS = {"m": 1e6, "b": 1e9}
_STEP_ROWS = 1024


@dataclass(frozen=True, slots=True)
class RandomTensor:
    """Numbers that are drawn when they are asked for, always the same."""

    name: str
    shape: tuple[int, ...]

    def rows(self, start: int, stop: int) -> Array:
        """Return some rows."""
        if len(self.shape) == 1:
            return np.ones(stop - start, np.float32)
        drawn = np.concatenate(list(self._pieces(start, stop)))
        # So that what comes out of a matrix is about as large as what goes in.
        scaled: Array = np.divide(drawn, math.sqrt(self.shape[1]), dtype=np.float32)
        return scaled

    def _pieces(self, start: int, stop: int) -> Iterator[Array]:
        for first in range(start - start % _STEP_ROWS, stop, _STEP_ROWS):
            chance = np.random.default_rng([zlib.crc32(self.name.encode()), first])
            piece = chance.standard_normal((_STEP_ROWS, *self.shape[1:]), np.float32)
            yield piece[max(start - first, 0) : stop - first]


def shape_of(parameters: float, vocabulary: int, context_tokens: int) -> Config:
    """Return a Llama of about so many parameters, as wide for its depth as such models are."""
    per_layer = 2 + 2 / _QUERIES_PER_KEY + 3 * _MLP_WIDTH
    hidden = (parameters * _HIDDEN_PER_LAYER / per_layer) ** (1 / 3)
    group = _HEAD * _QUERIES_PER_KEY
    hidden = max(group, round(hidden / group) * group)
    mlp = round(_MLP_WIDTH * hidden / _HEAD) * _HEAD
    layers = max(1, round((parameters - vocabulary * hidden) / (per_layer * hidden**2)))
    return Config(
        architectures=["LlamaForCausalLM"],
        model_type="llama",
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=hidden // _HEAD,
        num_key_value_heads=hidden // group,
        head_dim=_HEAD,
        max_position_embeddings=context_tokens,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )


def count(shape: Architecture) -> int:
    """Return the number of parameters."""
    return sum(math.prod(each) for each in shape.tensors().values())


def make(folder: Path, parameters: float) -> Architecture:
    """Write a model that the engine serves to `folder`, and return what it is like."""
    pocket = Path(POCKET.path)
    facts = json.loads((pocket / config.FILE).read_text(encoding="utf-8"))
    told = shape_of(parameters, facts["vocab_size"], facts["max_position_embeddings"])
    shape = architecture(told, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _TEXTS:
        shutil.copyfile(pocket / name, folder / name)
    (folder / config.FILE).write_bytes(msgspec.json.format(msgspec.json.encode(told)))
    weights = {name: RandomTensor(name, each) for name, each in shape.tensors().items()}
    write(weights, shape, folder, _tell)
    ir.check(folder)
    return shape


def number(text: str) -> float:
    """Read a number of parameters such as `0.5b` or `20m`."""
    unit = _UNITS.get(text[-1:].lower())
    if unit is None:
        raise argparse.ArgumentTypeError("must end in m or b, for example 0.5b")
    return float(text[:-1]) * unit


def main() -> None:
    """Make the model that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make a model of random weights.")
    parser.add_argument("--params", type=number, default=number("0.5b"), help="for example 0.5b")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    shape = make(given.folder, given.params)
    print(f"{given.folder}: {count(shape) / 1e6:.1f} M parameters in {shape.layers} layers")


def _tell(task: str, done: int, total: int) -> None:
    print(f"\r{task}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr)


if __name__ == "__main__":
    main()
