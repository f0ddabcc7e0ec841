"""The arguments of `tensorrt_llm.LLM`: ours, and over them those of the model's configuration."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorrt_llm.llmapi import llm_args

_MEMORY_SHARE = 0.85
"""Of the GPU memory that the weights leave; the rest is for activations and CUDA graphs."""


def arguments(
    model: Path,
    max_sequences: int,
    engine_args: Mapping[str, Any],
    adapters: Mapping[str, Path],
) -> dict[str, Any]:
    """Return what to call `LLM` with; `engine_args` are plain values, as JSON has them.

    Raises:
        OSError: an adapter has no `adapter_config.json`.
        KeyError: it does not tell its rank.
        ValueError: an argument is not what this version takes.
    """
    merged: dict[str, Any] = {
        "model": str(model),
        "max_batch_size": max_sequences,
        "enable_chunked_prefill": True,
        "enable_iter_perf_stats": True,
        "guided_decoding_backend": "xgrammar",
        "kv_cache_config": {
            "enable_block_reuse": True,
            "free_gpu_memory_fraction": _MEMORY_SHARE,
        },
    }
    if adapters:
        merged |= {"enable_lora": True, "lora_config": _lora_config(adapters)}
    for name, value in engine_args.items():
        ours = merged.get(name)
        merged[name] = {**ours, **value} if isinstance(ours, dict) else value
    # The library's own way from plain values to its classes, which differ between the versions.
    converted: dict[str, Any] = llm_args.update_llm_args_with_extra_dict({}, _whole(merged))
    return converted


def _lora_config(adapters: Mapping[str, Path]) -> dict[str, Any]:
    ranks = [
        json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["r"]
        for folder in adapters.values()
    ]
    return {
        "lora_dir": [str(folder) for folder in adapters.values()],
        "max_lora_rank": max(ranks),
        "max_loras": len(adapters),
        "max_cpu_loras": len(adapters),
    }


def _whole(value: Any) -> Any:
    """Return plain values with whole numbers as integers: protobuf's Struct knows floats only."""
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
