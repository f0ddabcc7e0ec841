"""Runs graphs, plainly and as the engine does."""

from pathlib import Path

import numpy as np
import openvino as ov

from infra.engine.engine import Generation
from infra.engine.openvino import OpenVinoEngine
from infra.models.tensors import Array

_EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
}
"""Nothing is rounded but the weights."""


def logits(model: ov.Model | Path, ids: list[int]) -> Array:
    """The scores after each of some tokens."""
    core = ov.Core()
    if isinstance(model, Path):
        model = core.read_model(model / "openvino_model.xml")
    request = core.compile_model(model, "CPU", _EXACT).create_infer_request()
    outputs = request.infer(
        {
            "input_ids": np.array([ids]),
            "attention_mask": np.ones((1, len(ids)), np.int64),
            "position_ids": np.arange(len(ids))[None],
            "beam_idx": np.zeros(1, np.int32),
        }
    )
    scores: Array = outputs["logits"][0]
    return scores


def generated(model: Path, generation: Generation) -> tuple[list[int], str]:
    """What the engine says to a prompt, and why it ends."""
    engine = OpenVinoEngine(model, max_sequences=1, kv_cache_mib=16)
    engine.submit(0, generation, 0)
    tokens: list[int] = []
    while True:
        for progress in engine.step():
            tokens += progress.token_ids
            if progress.finish_reason is not None:
                return tokens, progress.finish_reason
