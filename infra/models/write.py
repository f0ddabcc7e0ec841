"""Writes the graphs of a model, whose texts are in the folder already."""

from pathlib import Path

import openvino

from infra.models import tokenizer
from infra.models.architecture import Architecture
from infra.models.errors import ModelError
from infra.models.graph import build
from infra.models.report import Report
from infra.models.tensors import Weights


def write(weights: Weights, shape: Architecture, folder: Path, report: Report) -> None:
    """Write the model's graph and the detokenizer's.

    Raises:
        ModelError: a weight is not finite, or the folder cannot be written.
    """
    tokenizer.write_detokenizer(folder)
    model = build(weights, shape, report)
    try:
        openvino.save_model(model, folder / "openvino_model.xml", compress_to_fp16=False)
    except RuntimeError:
        raise ModelError(folder, "cannot be written: is the disk full?") from None
