"""Each architecture computes what its definition says, from either form of its weights."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from infra.engine.engine import Generation
from infra.models import int8
from infra.models.architecture import Architecture, architecture
from infra.models.config import Config
from infra.models.prepare import prepare
from infra.models.tensors import Array
from tests.models import reference
from tests.models.making import POCKET, write_gguf, write_safetensors
from tests.models.running import generated, logits

IDS = [1, 4, *range(300, 340), 2, 5]
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"architectures": ["LlamaForCausalLM"], "rope_scaling": LLAMA3},
    "llama-biased": {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": True,
        "mlp_bias": True,
        "tie_word_embeddings": True,
    },
    "llama-linear": {
        "architectures": ["LlamaForCausalLM"],
        "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0},
    },
    "mistral": {"architectures": ["MistralForCausalLM"], "head_dim": 16},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "tie_word_embeddings": True},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "head_dim": 64},
}


class Held:
    """A tensor in memory."""

    def __init__(self, value: Array) -> None:
        self.value = value
        self.shape: tuple[int, ...] = value.shape

    def rows(self, start: int, stop: int) -> Array:
        return self.value[start:stop]


def facts(name: str) -> dict[str, Any]:
    return {
        "vocab_size": 2048,
        "hidden_size": 128,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "eos_token_id": 2,
    } | MODELS[name]


def shape_of(name: str) -> Architecture:
    return architecture(msgspec.convert(facts(name), Config), name)


def drawn(shape: Architecture) -> dict[str, Array]:
    """Weights that int8 keeps exactly, so that a difference is one of the computation."""
    chance = np.random.default_rng(7)
    weights: dict[str, Array] = {}
    for name, dims in shape.tensors().items():
        value = chance.standard_normal(dims).astype(np.float32)
        if len(dims) == 1:
            weights[name] = value + 2 * name.endswith("norm.weight")
        else:
            stored, scales = int8.quantize(name, Held(value / np.float32(math.sqrt(dims[1]))))
            exact: Array = (stored * scales.astype(np.float32)).astype(np.float32)
            weights[name] = exact
    return weights


def write_texts(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(POCKET / name, folder / name)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def weights(name: str) -> dict[str, Array]:
    return drawn(shape_of(name))


@pytest.fixture
def folder(name: str, weights: dict[str, Array], tmp_path: Path) -> Path:
    source = write_texts(tmp_path / name, facts(name))
    write_safetensors(source / "model.safetensors", weights)
    return prepare(str(source), tmp_path / "cache")


def test_the_graph_computes_what_the_definition_says(
    name: str, weights: dict[str, Array], folder: Path
) -> None:
    expected = reference.logits(weights, shape_of(name), IDS)
    assert apart(logits(folder, IDS), expected) < 1e-4


def test_the_engine_says_what_is_likeliest(
    name: str, weights: dict[str, Array], folder: Path
) -> None:
    ask = Generation(input_ids=IDS, max_output_tokens=6, temperature=0, ignore_eos=1)
    tokens, _ = generated(folder, ask)
    scores = reference.logits(weights, shape_of(name), [*IDS, *tokens])[len(IDS) - 1 : -1]
    # 8-bit keys and values may decide between two that are as good as equal.
    given = scores[np.arange(len(tokens)), tokens]
    assert (scores.max(axis=1) - given < 0.1 * scores.std()).all()


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3"], indirect=True)
def test_gguf_is_the_same_model(
    name: str, weights: dict[str, Array], folder: Path, tmp_path: Path
) -> None:
    told = facts(name)
    texts = write_texts(tmp_path / "texts", told)
    # GGUF tells how Llama 3's positions are stretched by a factor for each frequency.
    more = (
        {"rope_freqs.weight": plain(told) / shape_of(name).frequencies} if name == "llama" else {}
    )
    write_gguf(tmp_path / "it.gguf", weights, texts, architecture=name, more=more)
    made = prepare(str(tmp_path / "it.gguf"), tmp_path / "cache")
    assert apart(logits(made, IDS), logits(folder, IDS)) < 1e-4


def apart(found: Array, expected: Array) -> float:
    """How far the furthest numbers are from each other, as a share of the largest."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def plain(told: dict[str, Any]) -> Array:
    exponents = np.arange(0, told["head_dim"], 2, dtype=np.float32) / told["head_dim"]
    frequencies: Array = (told["rope_theta"] ** -exponents).astype(np.float32)
    return frequencies


def test_llama3_stretches_slow_positions_only() -> None:
    stretched, unstretched = shape_of("llama").frequencies, plain(facts("llama"))
    for found, before in zip(stretched, unstretched, strict=True):
        turns = 64 / (2 * math.pi / before)
        if turns < 1:
            assert found == pytest.approx(before / 8)
        elif turns > 4:
            assert found == pytest.approx(before)
        else:
            smooth = (turns - 1) / 3
            assert found == pytest.approx((1 - smooth) * before / 8 + smooth * before)
    assert {found / before for found, before in zip(stretched, unstretched, strict=True)} > {1.0}
