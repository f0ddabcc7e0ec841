"""Checks the files that a model is made of, before anything is started for it."""

import json
import re
from pathlib import Path

from catenary.config.v1.models_pb2 import ModelConfig
from infra.embedding import package
from infra.embedding.shape import Shape

TOKENIZER_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
"""The model's shape, and its tokenizer with its template: what a prompt is made with."""

MODEL_FILES = (*TOKENIZER_FILES, "openvino_model.xml", "openvino_model.bin")
"""What the folder of a model for OpenVINO holds."""

MODEL_FACTS = (
    *("max_position_embeddings", "vocab_size", "hidden_size"),
    *("num_attention_heads", "num_hidden_layers"),
)
"""What a model's `config.json` must tell."""

_CONSTANT = re.compile(rb'element_type="\w+" shape="[^"]*" offset="(\d+)" size="(\d+)"')


HUB = "hf:"
"""What the path of a hub's model begins with."""

_ON_OPENVINO = ("openvino", "in_process")
_ON_OTHER_TRITONS = ("llmapi", "ensemble", "vllm")


def problem(model: ModelConfig) -> str:
    """Return what is wrong with the files of a model; empty when nothing is.

    What must be converted first is looked into only then.
    """
    if model.engine == "embeddings":
        return _embedding_problem(model.path)
    path = Path(model.path)
    if model.path.startswith(HUB) or not model.path:
        return "" if model.path or model.engine == "openai" else "must be given"
    if model.engine in _ON_OTHER_TRITONS:
        return tokenizer_problem(path)
    if model.engine in _ON_OPENVINO and not is_source(path):
        return openvino_problem(path)
    return "" if path.exists() else f"there is nothing at {model.path!r}"


def _embedding_problem(path: str) -> str:
    try:
        Shape.read(package.located(path))
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def is_source(path: Path) -> bool:
    """Tell what must be converted before OpenVINO can load it: GGUF, or Hugging Face's form."""
    if path.suffix == ".gguf":
        return True
    return any(path.glob("*.safetensors")) and not (path / "openvino_model.xml").exists()


def openvino_problem(folder: Path) -> str:
    """Return what is wrong with a model in OpenVINO's form; empty when nothing is."""
    return _missing(folder, MODEL_FILES) or _json_problem(folder) or _weights_problem(folder)


def tokenizer_problem(folder: Path) -> str:
    """Return what is wrong with the files that a prompt is made with; empty when nothing is."""
    return _missing(folder, TOKENIZER_FILES) or _json_problem(folder)


def _missing(folder: Path, names: tuple[str, ...]) -> str:
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r}"
    for name in names:
        if not (folder / name).is_file():
            return f"the model has no file {str(folder / name)!r}"
    return ""


def _json_problem(folder: Path) -> str:
    for name in TOKENIZER_FILES:
        try:
            value = json.loads((folder / name).read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            return f"{str(folder / name)!r} is not JSON"
        if name == "config.json":
            absent = [fact for fact in MODEL_FACTS if fact not in value]
            if absent:
                return f"{str(folder / name)!r} does not tell {absent[0]!r}"
    return ""


def _weights_problem(folder: Path) -> str:
    graph, weights = folder / "openvino_model.xml", folder / "openvino_model.bin"
    ends = [int(at) + int(size) for at, size in _CONSTANT.findall(graph.read_bytes())]
    needed = max(ends, default=0)
    if not needed:
        return f"{str(graph)!r} is no model of OpenVINO's"
    size = weights.stat().st_size
    if size < needed:
        return f"{str(weights)!r} is cut short: it has {size} bytes of {needed}"
    return ""
