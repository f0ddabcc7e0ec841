"""A folder that is ready to be served: OpenVINO's intermediate representation, and its texts."""

import json
import re
from pathlib import Path

from infra.models import config, tokenizer
from infra.models.errors import ModelError

GRAPHS = ("openvino_model", "openvino_detokenizer")
"""Each is an `.xml` and a `.bin`; guided decoding needs the second."""

_CONSTANT = re.compile(rb'offset="(\d+)" size="(\d+)"')


def check(folder: Path) -> None:
    """Check that a folder can be served.

    Raises:
        ModelError: a file is not there, is truncated, or is not what it should be.
        OSError: a file cannot be read.
    """
    for name in GRAPHS:
        _check_graph(folder, name)
    tokenizer.check(folder, _vocabulary(folder))


def _check_graph(folder: Path, name: str) -> None:
    graph, stored = folder / f"{name}.xml", folder / f"{name}.bin"
    for file in (graph, stored):
        if not file.is_file():
            raise ModelError(folder, f"has no {file.name}")
    text = graph.read_bytes()
    if not text.rstrip().endswith(b"</net>"):
        raise ModelError(graph, "is truncated, or no graph of OpenVINO's")
    needed = max((int(offset) + int(size) for offset, size in _CONSTANT.findall(text)), default=0)
    size = stored.stat().st_size
    if size < needed:
        raise ModelError(stored, f"is truncated: it has {size} bytes, and {needed} are needed")


def _vocabulary(folder: Path) -> int:
    file = folder / config.FILE
    if not file.is_file():
        raise ModelError(folder, f"has no {config.FILE}")
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(file, f"is not JSON: {error}") from None
    missing = [name for name in _FACTS if not isinstance(facts.get(name), int)]
    if missing:
        raise ModelError(file, f"does not tell {missing[0]!r}")
    return int(facts["vocab_size"])


_FACTS = (
    *("max_position_embeddings", "vocab_size", "hidden_size"),
    *("num_attention_heads", "num_hidden_layers"),
)
"""What `ModelCard` needs; the graph tells the rest, whatever its architecture."""
