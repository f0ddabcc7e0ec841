"""What is wrong with a model is said in one line, before anything is started."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from infra.models.errors import ModelError
from infra.models.prepare import prepare
from tests.models.making import (
    change,
    hugging_face,
    openvino,
    pocket_weights,
    write_gguf,
    write_safetensors,
)


def cut(file: Path, left: int = -1) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: left if left >= 0 else len(content) // 2])


def cut_gguf(file: Path, left: int = -1) -> None:
    write_gguf(file, pocket_weights())
    cut(file, left)


def without_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    change(folder / "tokenizer_config.json", chat_template=None)


def without(name: str) -> Callable[[Path], None]:
    def take(folder: Path) -> None:
        weights = pocket_weights()
        del weights[name]
        write_safetensors(folder / "model.safetensors", weights)

    return take


def with_another(name: str, *shape: int) -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        weights = pocket_weights() | {name: np.ones(shape, np.float32)}
        write_safetensors(folder / "model.safetensors", weights)

    return put


def with_infinity(folder: Path) -> None:
    weights = pocket_weights()
    weights["layers.1.mlp.up_proj.weight"][3, 5] = np.inf
    write_safetensors(folder / "model.safetensors", weights)


def with_index(folder: Path) -> None:
    text = json.dumps({"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}})
    (folder / "model.safetensors.index.json").write_text(text)


HUGGING_FACE: dict[str, tuple[Callable[[Path], object], str]] = {
    "config missing": (lambda at: (at / "config.json").unlink(), "…: has no config.json"),
    "config cut": (lambda at: cut(at / "config.json"), "…/config.json: is not JSON: "),
    "fact missing": (
        lambda at: change(at / "config.json", hidden_size=None),
        "…/config.json: Object missing required field `hidden_size`",
    ),
    "fact wrong": (
        lambda at: change(at / "config.json", num_hidden_layers=-4),
        "…/config.json: Expected `int` >= 1 - at `$.num_hidden_layers`",
    ),
    "architecture": (
        lambda at: change(at / "config.json", architectures=["GemmaForCausalLM"]),
        "…/config.json: the architecture 'GemmaForCausalLM' is not among LlamaForCausalLM, ",
    ),
    "yarn": (
        lambda at: change(at / "config.json", rope_scaling={"type": "yarn", "factor": 4.0}),
        "…/config.json: rope scaling 'yarn' is not among default, linear, llama3",
    ),
    "quantized": (
        lambda at: change(at / "config.json", quantization_config={"quant_method": "gptq"}),
        "…/config.json: the weights are quantized (gptq); take the model as it was before",
    ),
    "weights cut": (
        lambda at: cut(at / "model.safetensors"),
        "…/model.safetensors: is truncated: it has 3477760 bytes, and tensor ",
    ),
    "header cut": (
        lambda at: cut(at / "model.safetensors", 100),
        "…/model.safetensors: is truncated: it has 100 bytes, its header alone ",
    ),
    "weights empty": (
        lambda at: cut(at / "model.safetensors", 0),
        "…/model.safetensors: is truncated: it has 0 bytes",
    ),
    "no weights": (
        lambda at: (at / "model.safetensors").unlink(),
        "…: holds no model: neither openvino_model.xml, nor config.json with safetensors; ",
    ),
    "shard missing": (
        with_index,
        "…/model.safetensors.index.json: names 'model-00001-of-00002.safetensors', which is ",
    ),
    "tensor missing": (
        without("layers.2.mlp.up_proj.weight"),
        "…: has no tensor 'layers.2.mlp.up_proj.weight'",
    ),
    "wrong shape": (
        with_another("norm.weight", 255),
        "…: tensor 'norm.weight' has shape (255,), and not (256,)",
    ),
    "unknown tensor": (
        with_another("layers.0.self_attn.q_proj.bias", 256),
        "…: has a tensor that its architecture has not: 'layers.0.self_attn.q_proj.bias'",
    ),
    "infinite": (
        with_infinity,
        "tensor 'layers.1.mlp.up_proj.weight': holds numbers that are too large, or none at all",
    ),
    "no tokenizer": (lambda at: (at / "tokenizer.json").unlink(), "…: has no tokenizer.json"),
    "tokenizer cut": (
        lambda at: cut(at / "tokenizer.json"),
        "…/tokenizer.json: is no tokenizer: ",
    ),
    "tokenizer of another": (
        lambda at: change(at / "config.json", vocab_size=2000),
        "…/tokenizer.json: has 2048 tokens, and the model knows 2000",
    ),
    "no template": (
        without_template,
        "…: has no chat template: no chat_template.jinja, and none in tokenizer_config.json",
    ),
}


@pytest.mark.parametrize("case", HUGGING_FACE)
def test_a_broken_hugging_face_folder(case: str, tmp_path: Path) -> None:
    damage, line = HUGGING_FACE[case]
    source = hugging_face(tmp_path / "model")
    damage(source)
    assert refusal(source, tmp_path).startswith(line)
    assert nothing_is_left(tmp_path / "cache")


OPENVINO: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights cut": (
        lambda at: cut(at / "openvino_model.bin", 1000),
        "…/openvino_model.bin: is truncated: it has 1000 bytes, and 3506652 are needed",
    ),
    "graph cut": (
        lambda at: cut(at / "openvino_model.xml"),
        "…/openvino_model.xml: is truncated, or no graph of OpenVINO's",
    ),
    "weights missing": (
        lambda at: (at / "openvino_model.bin").unlink(),
        "…: has no openvino_model.bin",
    ),
    "detokenizer missing": (
        lambda at: (at / "openvino_detokenizer.xml").unlink(),
        "…: has no openvino_detokenizer.xml",
    ),
    "config missing": (lambda at: (at / "config.json").unlink(), "…: has no config.json"),
    "fact missing": (
        lambda at: change(at / "config.json", vocab_size=None),
        "…/config.json: does not tell 'vocab_size'",
    ),
    "tokenizer missing": (lambda at: (at / "tokenizer.json").unlink(), "…: has no tokenizer.json"),
}


@pytest.mark.parametrize("case", OPENVINO)
def test_a_broken_openvino_folder(case: str, tmp_path: Path) -> None:
    damage, line = OPENVINO[case]
    source = openvino(tmp_path / "model")
    damage(source)
    assert refusal(source, tmp_path) == line


GGUF: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (
        cut_gguf,
        "…: is truncated: it has ",
    ),
    "cut in its metadata": (
        lambda at: cut_gguf(at, 1000),
        "…: is truncated: it has 1000 bytes",
    ),
    "something else": (
        lambda at: at.write_text("hello"),
        "…: is no GGUF file; a model of several files is named as a folder",
    ),
    "of the future": (
        lambda at: at.write_bytes(b"GGUF" + bytes([9, 0, 0, 0])),
        "…: is of version 9; 2 and 3 can be read",
    ),
    "architecture": (
        lambda at: write_gguf(at, pocket_weights(), architecture="gemma3"),
        "…: the architecture 'gemma3' is not among llama, qwen2, qwen3",
    ),
    "tensor missing": (
        lambda at: write_gguf(at, {"norm.weight": np.ones(256, np.float32)}),
        "…: has no tensor 'token_embd.weight'",
    ),
    "unknown tensor": (
        lambda at: write_gguf(
            at, pocket_weights(), more={"blk.0.attn_sinks.weight": np.ones(4, np.float32)}
        ),
        "…: has a tensor that its architecture has not: 'blk.0.attn_sinks.weight'",
    ),
    "tokenizer": (
        lambda at: write_gguf(at, pocket_weights(), tokenizer="llama"),
        "…: the tokenizer 'llama' is not supported; 'gpt2' is",
    ),
    "pretokenizer": (
        lambda at: write_gguf(at, pocket_weights(), pre="klingon"),
        "…: the pretokenizer 'klingon' is not among deepseek-r1-qwen, default, gpt-2, llama-bpe, ",
    ),
    "no template": (
        lambda at: write_gguf(at, pocket_weights(), leave_out=["template"]),
        "…: has no chat template: it is not made for conversations",
    ),
    "no end": (
        lambda at: write_gguf(at, pocket_weights(), leave_out=["eos"]),
        "…: does not tell which token ends an answer",
    ),
}


@pytest.mark.parametrize("case", GGUF)
def test_a_broken_gguf_file(case: str, tmp_path: Path) -> None:
    make, line = GGUF[case]
    make(tmp_path / "model")
    assert refusal(tmp_path / "model", tmp_path).startswith(line)
    assert nothing_is_left(tmp_path / "cache")


def test_what_is_no_source_is_named(tmp_path: Path) -> None:
    line = "there is no such file or folder, and it names no model on a hub"
    assert refusal("/no/such/place", tmp_path) == f"…: {line}"


def refusal(source: Path | str, tmp_path: Path) -> str:
    """The error's line, with the source's own path as an ellipsis."""
    with pytest.raises(ModelError) as caught:
        prepare(str(source), tmp_path / "cache")
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(str(source), "…")


def nothing_is_left(cache: Path) -> bool:
    """Whether no folder is in the cache; a lock may be."""
    return not [each for each in cache.glob("*") if each.is_dir()]


def test_a_folder_that_was_left_unfinished_is_made_anew(tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "model")
    made = prepare(str(source), tmp_path / "cache")
    unfinished = made.with_name(f"{made.name}.unfinished")
    shutil.move(made, unfinished)
    (unfinished / "openvino_model.bin").unlink()
    assert prepare(str(source), tmp_path / "cache") == made
    assert (made / "openvino_model.bin").exists()
    assert not unfinished.exists()
