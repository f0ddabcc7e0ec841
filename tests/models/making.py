"""Makes models in every form that one may come in, from the pocket model or from chance."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from infra.models import safetensors
from infra.models.tensors import Array, whole
from services import config

POCKET = Path(config.POCKET.path)
TEXTS = (
    *("config.json", "generation_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"),
)
GGUF_NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def hugging_face(folder: Path) -> Path:
    """Copy the pocket model's files of Hugging Face's form."""
    folder.mkdir(parents=True)
    for name in (*TEXTS, safetensors.SINGLE):
        shutil.copyfile(POCKET / name, folder / name)
    return folder


def openvino(folder: Path) -> Path:
    """Copy the pocket model's files of OpenVINO's form."""
    folder.mkdir(parents=True)
    for file in POCKET.iterdir():
        if file.name in TEXTS or file.name.startswith("openvino_"):
            shutil.copyfile(file, folder / file.name)
    return folder


def pocket_weights() -> dict[str, Array]:
    return {name: whole(tensor) for name, tensor in safetensors.read(POCKET).items()}


def change(file: Path, **facts: Any) -> None:
    """Change facts in a JSON file; None takes one out."""
    content = json.loads(file.read_text()) | facts
    file.write_text(json.dumps({key: each for key, each in content.items() if each is not None}))


def write_safetensors(file: Path, weights: Mapping[str, Array], dtype: str = "F32") -> None:
    """Write weights under Hugging Face's names."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    pieces: list[bytes] = []
    at = 0
    for name, value in weights.items():
        pieces.append(_stored(value, dtype))
        full = name if name.startswith("lm_head") else f"model.{name}"
        offsets = [at, at + len(pieces[-1])]
        header[full] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": offsets}
        at = offsets[1]
    text = json.dumps(header).encode()
    file.write_bytes(b"".join([len(text).to_bytes(8, "little"), text, *pieces]))


def _stored(value: Array, dtype: str) -> bytes:
    if dtype == "BF16":
        return (np.ascontiguousarray(value).view(np.uint32) >> 16).astype("<u2").tobytes()
    return value.astype("<f2" if dtype == "F16" else "<f4").tobytes()


def write_gguf(
    file: Path,
    weights: Mapping[str, Array],
    model: Path = POCKET,
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    *,
    pre: str = "gpt-2",
    tokenizer: str = "gpt2",
    architecture: str = "llama",
    leave_out: Iterable[str] = (),
    more: Mapping[str, Array] | None = None,
) -> None:
    """Write a model as llama.cpp's converter does; the texts are those of the folder `model`."""
    facts = json.loads((model / "config.json").read_text())
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_context_length(facts["max_position_embeddings"])
    writer.add_embedding_length(facts["hidden_size"])
    writer.add_feed_forward_length(facts["intermediate_size"])
    writer.add_block_count(facts["num_hidden_layers"])
    writer.add_head_count(facts["num_attention_heads"])
    writer.add_head_count_kv(facts["num_key_value_heads"])
    writer.add_key_length(facts["head_dim"])
    writer.add_value_length(facts["head_dim"])
    writer.add_layer_norm_rms_eps(facts["rms_norm_eps"])
    writer.add_rope_freq_base(facts["rope_theta"])
    _write_tokenizer(writer, model, pre, tokenizer, leave_out)
    for name, value in weights.items():
        heads = {"q_proj": facts["num_attention_heads"], "k_proj": facts["num_key_value_heads"]}
        part = name.split(".")[-2]
        paired = architecture == "llama" and part in heads
        stored = _paired(value, heads[part]) if paired else value
        _add(writer, _gguf_name(name), stored, kind if value.ndim > 1 else None)
    for name, value in (more or {}).items():
        _add(writer, name, value, None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_tokenizer(
    writer: gguf.GGUFWriter, model: Path, pre: str, tokenizer: str, leave_out: Iterable[str]
) -> None:
    spec = json.loads((model / "tokenizer.json").read_text())
    settings = json.loads((model / "tokenizer_config.json").read_text())
    ids: dict[str, int] = spec["model"]["vocab"]
    special = {added["content"] for added in spec["added_tokens"]}
    tokens = sorted(ids, key=ids.__getitem__)
    writer.add_tokenizer_model(tokenizer)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    merges = [each if isinstance(each, str) else " ".join(each) for each in spec["model"]["merges"]]
    writer.add_token_merges(merges)
    writer.add_bos_token_id(ids[settings["bos_token"]])
    if "eos" not in leave_out:
        writer.add_eos_token_id(ids[settings["eos_token"]])
    if "template" not in leave_out:
        writer.add_chat_template((model / "chat_template.jinja").read_text())


def _gguf_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if stem.startswith("layers."):
        _, layer, part = stem.split(".", 2)
        return f"blk.{layer}.{GGUF_NAMES[part]}.{kind}"
    return f"{GGUF_NAMES[stem]}.{kind}"


def _paired(value: Array, heads: int) -> Array:
    """Put the two rows that rotate together beside each other, as llama.cpp's converter does."""
    halves = value.reshape(heads, 2, value.shape[0] // heads // 2, *value.shape[1:])
    paired: Array = halves.swapaxes(1, 2).reshape(value.shape)
    return paired


def _add(
    writer: gguf.GGUFWriter, name: str, value: Array, kind: gguf.GGMLQuantizationType | None
) -> None:
    if kind is None or kind == gguf.GGMLQuantizationType.F32:
        writer.add_tensor(name, np.ascontiguousarray(value))
    else:
        writer.add_tensor(name, gguf.quants.quantize(value, kind), raw_dtype=kind)
