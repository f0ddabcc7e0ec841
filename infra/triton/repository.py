"""Writes the folder from which Triton serves our models: one model of ours for each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from google.protobuf import json_format

from catenary.config.v1.models_pb2 import ModelConfig
from infra.engine.card import ModelCard
from infra.engine.command import EngineName
from infra.triton import contract

_PROJECT = Path(__file__).resolve().parents[2]
_MODEL_PY = f'''"""Serves the model that config.pbtxt names."""

import sys

sys.path.insert(0, {str(_PROJECT)!r})

from infra.triton.model import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, and how its engine is to run it."""

    name: str
    path: Path
    """The folder with its files."""
    max_sequences: int
    """The most sequences generated at once."""
    max_queue: int
    """The most requests that wait for a place."""
    kv_cache_mib: int
    """The memory of the paged KV cache."""
    stream_interval_s: float
    """How long tokens may pile up before they leave together; the first never waits."""
    engine: EngineName = EngineName.OPENVINO
    engine_args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Plain values for `tensorrt_llm.LLM`; numbers may come as floats."""
    adapters: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """The folders of its low-rank adapters, by name."""
    max_tokens: int = 0
    """The most tokens in the engine at once; 0 for what the KV cache holds."""
    max_waiting_tokens: int = 4_000_000
    """The most tokens of requests that wait."""

    @classmethod
    def configured(cls, name: str, config: ModelConfig) -> Self:
        """Return the model of a configuration, with its defaults filled in, under a name."""
        return cls(
            name=name,
            path=Path(config.path),
            max_sequences=config.max_sequences,
            max_queue=config.max_queue,
            kv_cache_mib=config.kv_cache_mib,
            stream_interval_s=config.stream_interval.ToNanoseconds() / 1e9,
            engine=EngineName(config.engine),
            engine_args=json_format.MessageToDict(config.engine_args),
            adapters={name: Path(folder) for name, folder in config.adapters.items()},
            max_tokens=config.max_tokens,
            max_waiting_tokens=config.max_waiting_tokens,
        )


def write(repository: Path, models: list[ServedModel], python: str, otlp_endpoint: str) -> None:
    """Write the folder; `python` is the interpreter that runs the engines.

    Spans go to `otlp_endpoint`, or nowhere when it is empty.

    Raises:
        OSError: a model's `config.json` is not there.
        ValueError: it is not JSON.
        KeyError: it lacks a fact.
    """
    for model in models:
        card = ModelCard.read(model.path)
        context_window = min(
            card.context_window, int(model.engine_args.get("max_seq_len", card.context_window))
        )
        adapters = {name: str(folder) for name, folder in model.adapters.items()}
        parameters = {
            "path": str(model.path),
            "python": python,
            "otlp_endpoint": otlp_endpoint,
            "max_sequences": str(model.max_sequences),
            "max_queue": str(model.max_queue),
            "max_tokens": str(model.max_tokens),
            "max_waiting_tokens": str(model.max_waiting_tokens),
            "kv_cache_mib": str(model.kv_cache_mib),
            "stream_interval_ms": f"{model.stream_interval_s * 1000:g}",
            "engine": model.engine,
            "engine_args": json.dumps(dict(model.engine_args)),
            "adapters": json.dumps(adapters),
            "context_window": str(context_window),
            "vocabulary": str(card.vocabulary),
        }
        version = repository / model.name / "1"
        version.mkdir(parents=True, exist_ok=True)
        (version / "model.py").write_text(_MODEL_PY, encoding="utf-8")
        config = _config(model.name, parameters)
        (version.parent / "config.pbtxt").write_text(config, encoding="utf-8")


def _config(name: str, parameters: dict[str, str]) -> str:
    lines = [
        f'name: "{name}"',
        'backend: "python"',
        "max_batch_size: 0",
        "model_transaction_policy { decoupled: true }",
        "instance_group [ { kind: KIND_CPU count: 1 } ]",
    ]
    for tensor_name, tensor in contract.INPUTS.items():
        optional = "" if tensor_name == contract.INPUT_IDS else " optional: true"
        lines.append(f"input [ {{ {_form(tensor_name, tensor)}{optional} }} ]")
    for tensor_name, tensor in contract.OUTPUTS.items():
        lines.append(f"output [ {{ {_form(tensor_name, tensor)} }} ]")
    for key, value in parameters.items():
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'parameters {{ key: "{key}" value: {{ string_value: "{quoted}" }} }}')
    return "\n".join(lines) + "\n"


def _form(name: str, tensor: contract.Tensor) -> str:
    dims = 1 if tensor.one else -1
    return f'name: "{name}" data_type: TYPE_{tensor.datatype} dims: [ {dims} ]'
