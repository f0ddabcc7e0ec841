"""The models that the mesh serves, as models.yaml and their own files describe them."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2 as pb
from infra.embedding import package
from infra.embedding.shape import Shape

_IR_WEIGHTS = re.compile(rb'<data element_type="(\w+)" [^>]*size="(\d+)"')
_PRECISIONS = {
    "u4": "int4",
    "i4": "int4",
    "u8": "int8",
    "i8": "int8",
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
}


def versions(config: config_pb.ModelsConfig) -> dict[str, int]:
    """Return the version of each name that can be asked for: the models', and `model:adapter`."""
    return {
        name: model.version
        for model in config.models
        for name in (model.name, *(f"{model.name}:{adapter}" for adapter in model.adapters))
    }


def describe(models: Iterable[config_pb.ModelConfig]) -> Mapping[str, pb.Model]:
    """Return the models' cards by name, in the order of the configuration, as far as files tell.

    Raises:
        OSError, ValueError: a model's `config.json` cannot be read.
    """
    return {model.name: _describe(model) for model in models}


def label(card: pb.Model, model: config_pb.ModelConfig) -> None:
    """Put on the card what is only said of a model, and may change while it serves."""
    card.owner = model.owner or "catenary"
    card.ClearField("price")
    if model.HasField("price"):
        price = model.price
        card.price.input, card.price.output = price.input, price.output
        card.price.cached_input = price.cached_input


def _describe(model: config_pb.ModelConfig) -> pb.Model:
    if model.engine == "embeddings":
        return _describe_embeddings(model)
    folder = Path(model.path)
    file = folder / "config.json"
    is_folder = bool(model.path) and file.is_file()
    shape = json.loads(file.read_text(encoding="utf-8")) if is_folder else {}
    card = pb.Model(
        name=model.name,
        context_window=model.context_window or shape.get("max_position_embeddings", 0),
        engine=model.engine or "openvino",
        created_unix_s=int(file.stat().st_mtime) if is_folder else 0,
        version=model.version or 1,
        precision=_precision(folder, shape) if is_folder else "",
    )
    label(card, model)
    return card


def _describe_embeddings(model: config_pb.ModelConfig) -> pb.Model:
    folder = package.located(model.path)
    card = pb.Model(
        name=model.name,
        context_window=Shape.read(folder).max_tokens,
        engine=model.engine,
        created_unix_s=int((folder / "config.json").stat().st_mtime),
        version=model.version or 1,
        precision="f32",
    )
    label(card, model)
    return card


def _precision(folder: Path, shape: Mapping[str, Any]) -> str:
    """Return the form of most of the weights."""
    graph = folder / "openvino_model.xml"
    if graph.is_file():
        sizes: dict[str, int] = {}
        for kind, size in _IR_WEIGHTS.findall(graph.read_bytes()):
            sizes[kind.decode()] = sizes.get(kind.decode(), 0) + int(size)
        if not sizes:
            return ""
        most = max(sizes, key=lambda kind: sizes[kind])
        return _PRECISIONS.get(most, most)
    quantization = shape.get("quantization_config") or {}
    method = quantization.get("quant_method") or quantization.get("quant_algo")
    if method:
        return str(method).lower()
    kind = str(shape.get("torch_dtype") or shape.get("dtype") or "")
    return _PRECISIONS.get(kind, kind)
