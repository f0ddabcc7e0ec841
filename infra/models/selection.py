"""Which files of a hub's model the engine needs."""

import re
from collections.abc import Sequence

from infra.models.download import RemoteFile
from infra.models.errors import ModelError
from infra.models.safetensors import INDEX
from infra.models.source import HubModel

_TEXTS = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config)\.json|chat_template\.jinja"
)
_GRAPHS = re.compile(r"openvino_(model|tokenizer|detokenizer)\.(xml|bin)")
# Other safetensors hold the same weights once more, under other names.
_WEIGHTS = re.compile(rf"model(-\d+-of-\d+)?\.safetensors|{re.escape(INDEX)}")


def chosen(model: HubModel, files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Return the files to download: those of one form of the model.

    Raises:
        ModelError: there is no form that can be served, or more than one to choose from.
    """
    ggufs = [file for file in files if file.name.endswith(".gguf") and "/" not in file.name]
    if model.file:
        return [_named(model, ggufs)]
    for form, mark in ((_GRAPHS, "openvino_model.xml"), (_WEIGHTS, ".safetensors")):
        matching = [file for file in files if form.fullmatch(file.name)]
        if any(file.name.endswith(mark) for file in matching):
            return [*(file for file in files if _TEXTS.fullmatch(file.name)), *matching]
    if len(ggufs) == 1:
        return ggufs
    if ggufs:
        names = ", ".join(file.name for file in ggufs)
        raise ModelError(model.name, f"name one of its files, as {model.name}/FILE: {names}")
    raise ModelError(model.name, "has neither safetensors, nor OpenVINO's files, nor GGUF")


def _named(model: HubModel, ggufs: Sequence[RemoteFile]) -> RemoteFile:
    for file in ggufs:
        if file.name == model.file:
            return file
    names = ", ".join(file.name for file in ggufs) or "no GGUF files"
    raise ModelError(model.name, f"has no file {model.file!r}; it has {names}")
