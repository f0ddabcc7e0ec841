"""A GGUF file becomes a folder that the engine serves."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from infra.models import config, gguf_file, gguf_tokenizer, tokenizer
from infra.models.architecture import Architecture, architecture
from infra.models.config import Config
from infra.models.errors import ModelError
from infra.models.gguf_file import GgufFile, GgufTensor
from infra.models.report import Report
from infra.models.tensors import Weights, check, whole
from infra.models.write import write

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
"""GGUF's names; Mistral's models call themselves `llama`."""

_TOP = {"token_embd": "embed_tokens", "output_norm": "norm", "output": "lm_head"}
_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Hugging Face's names by GGUF's."""

_STRETCH = "rope_freqs.weight"
"""What the rotary frequencies are divided by, one by one."""


def convert(source: Path, target: Path, report: Report) -> None:
    """Write what the engine serves to `target`, an empty folder.

    Raises:
        ModelError: the model is truncated, incomplete, or of an unknown architecture.
        OSError: a file cannot be read or written.
    """
    file = gguf_file.read(source)
    told = _config(file)
    shape = _stretched(file, architecture(told, source))
    weights = _weights(file, shape)
    check(weights, shape.tensors(), source)
    (target / config.FILE).write_bytes(msgspec.json.format(msgspec.json.encode(told)))
    gguf_tokenizer.write(file, target, told.max_position_embeddings)
    try:
        tokenizer.check(target, shape.vocabulary)
    except ModelError as error:
        raise ModelError(source, f"its tokenizer {error.problem}") from None
    write(weights, shape, target, report)


def _config(file: GgufFile) -> Config:
    """Say in Hugging Face's words what the metadata tell."""
    name = str(file.metadata.get("general.architecture"))
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(file.path, f"the architecture {name!r} is not among {known}")

    def fact(key: str, default: Any = None) -> Any:
        return file.metadata.get(f"{name}.{key}", default)

    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise ModelError(file.path, "has no tensor 'token_embd.weight'")
    facts = {
        "architectures": [ARCHITECTURES[name]],
        "model_type": name,
        "vocab_size": embedding.shape[0],
        "hidden_size": fact("embedding_length"),
        "intermediate_size": fact("feed_forward_length"),
        "num_hidden_layers": fact("block_count"),
        "num_attention_heads": fact("attention.head_count"),
        "num_key_value_heads": fact("attention.head_count_kv"),
        "head_dim": fact("attention.key_length"),
        "max_position_embeddings": fact("context_length"),
        "rms_norm_eps": fact("attention.layer_norm_rms_epsilon"),
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "attention_bias": "blk.0.attn_output.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_gate.bias" in file.tensors,
        "sliding_window": fact("attention.sliding_window"),
        "rope_theta": fact("rope.freq_base"),
        "rope_scaling": _scaling(fact("rope.scaling.type"), fact("rope.scaling.factor")),
        "bos_token_id": file.metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": file.metadata.get("tokenizer.ggml.eos_token_id"),
    }
    try:
        return msgspec.convert(facts, Config)
    except msgspec.ValidationError as error:
        raise ModelError(file.path, f"its metadata do not tell what they should: {error}") from None


def _scaling(kind: object, factor: object) -> dict[str, object] | None:
    if kind is None or kind == "none":
        return None
    return {"rope_type": kind, "factor": 1.0 if factor is None else factor}


def _stretched(file: GgufFile, shape: Architecture) -> Architecture:
    """Divide the rotary frequencies by what the file holds for that, if it does."""
    if _STRETCH not in file.tensors:
        return shape
    factors = whole(file.tensors[_STRETCH])
    if factors.shape != shape.frequencies.shape or not (factors > 0).all():
        raise ModelError(file.path, f"tensor {_STRETCH!r} makes no sense")
    return replace(shape, frequencies=(shape.frequencies / factors).astype(np.float32))


def _weights(file: GgufFile, shape: Architecture) -> Weights:
    return dict(_renamed(file, shape))


def _renamed(file: GgufFile, shape: Architecture) -> Iterator[tuple[str, GgufTensor]]:
    is_llama = file.metadata["general.architecture"] == "llama"
    heads = {"attn_q": shape.heads, "attn_k": shape.kv_heads}
    for name, tensor in file.tensors.items():
        if name == _STRETCH:
            continue
        stem, _, kind = name.rpartition(".")
        block, _, part = stem.removeprefix("blk.").partition(".")
        if part in _LAYER and stem.startswith("blk."):
            paired = is_llama and part in heads
            renamed = f"layers.{block}.{_LAYER[part]}.{kind}"
            yield renamed, _unpaired(tensor, heads[part]) if paired else tensor
        else:
            yield f"{_TOP.get(stem, stem)}.{kind}", tensor


def _unpaired(tensor: GgufTensor, heads: int) -> GgufTensor:
    """Undo the order of `llama`'s rows: there, the two rows that rotate together are neighbours."""
    rows = tensor.shape[0]
    if rows % (2 * heads):
        return tensor  # of a wrong shape, which is told later
    order = np.arange(rows).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)
    return replace(tensor, order=order)
