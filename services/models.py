"""The models that the mesh serves, as its configuration and their own files describe them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2 as pb

ENGINE = "openvino"
"""The engine that runs every model in Triton."""


def describe(models: Iterable[config_pb.ModelConfig]) -> Mapping[str, pb.Model]:
    """Return the models by name, in the order of the configuration.

    Raises:
        OSError, ValueError: a model's `config.json` cannot be read.
        KeyError: it does not tell the context window.
    """
    return {model.name: _describe(model) for model in models}


def _describe(model: config_pb.ModelConfig) -> pb.Model:
    file = Path(model.path) / "config.json"
    shape = json.loads(file.read_text(encoding="utf-8"))
    return pb.Model(
        name=model.name,
        context_window=shape["max_position_embeddings"],
        engine=ENGINE,
        owner="catenary",
        created_unix_s=int(file.stat().st_mtime),
    )
