"""Reads the stored weights of the model, to train on from them."""

from collections.abc import Mapping
from pathlib import Path

from infra.models import safetensors
from infra.models.tensors import Array, whole


def read_weights(folder: Path) -> Mapping[str, Array]:
    """Return the weights in a folder, by Hugging Face's names without the leading `model.`."""
    return {name: whole(tensor) for name, tensor in safetensors.read(folder).items()}
