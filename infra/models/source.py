"""What a model is made from: a folder, a file, or a model on a hub."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from infra.models.errors import ModelError

FORMAT = 1
"""Counts up when the same source is to be converted anew."""

_HUB = re.compile(
    r"(?:hf:)?(?P<name>[a-z0-9][\w.-]*/[a-z0-9][\w.-]*)"
    r"(?:/(?P<file>[a-z0-9][\w.-]*\.gguf))?(?:@(?P<revision>[a-z0-9][\w./-]*))?",
    re.ASCII | re.IGNORECASE,
)
_NO_MODEL = (
    "holds no model: neither openvino_model.xml, nor config.json with safetensors; "
    "a GGUF file is named itself"
)


@dataclass(frozen=True, slots=True)
class Ir:
    """A folder that can be served as it is."""

    folder: Path


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """A folder with a configuration, a tokenizer and safetensors."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Gguf:
    """A file that holds everything."""

    file: Path


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model to be downloaded."""

    name: str
    """Its owner and its name, as `owner/name`."""
    revision: str = "main"
    file: str = ""
    """The GGUF file, where there are several."""


def parse(source: str) -> Ir | HuggingFace | Gguf | HubModel:
    """Return what a source is; a path that exists is never a hub's model.

    Raises:
        ModelError: it is nothing that is known.
        OSError: it cannot be read.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder(path.resolve())
    if path.exists():
        if not _is_gguf(path):
            raise ModelError(path, "is no GGUF file; a model of several files is named as a folder")
        return Gguf(path.resolve())
    named = _HUB.fullmatch(source)
    if named is None:
        raise ModelError(source, "there is no such file or folder, and it names no model on a hub")
    return HubModel(named["name"], named["revision"] or "main", named["file"] or "")


def last_part(source: str) -> str:
    """Return a name for the model: the last part of its source, in small letters."""
    stem = source.partition("@")[0].rstrip("/")
    name = Path(stem).expanduser().resolve().name if Path(stem).exists() else Path(stem).name
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower().removesuffix(".gguf"))
    return plain.strip("-._")[:128] or "model"


def key(source: HuggingFace | Gguf) -> str:
    """Return the name of what is made from a source; it changes when the source does."""
    if isinstance(source, Gguf):
        root, files = source.file, [source.file]
    else:
        root, files = (
            source.folder,
            sorted(each for each in source.folder.iterdir() if each.is_file()),
        )
    facts = [str(FORMAT), str(root)]
    for file in files:
        state = file.stat()
        facts.append(f"{file.name} {state.st_size} {state.st_mtime_ns}")
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    return f"{last_part(str(root))}-{digest[:16]}"


def _folder(path: Path) -> Ir | HuggingFace:
    if (path / "openvino_model.xml").is_file():
        return Ir(path)
    if any(path.glob("*.safetensors*")):
        return HuggingFace(path)
    raise ModelError(path, _NO_MODEL)


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"
