"""Where models that were downloaded or converted are kept, and what of them is ready."""

import os
from pathlib import Path
from urllib.parse import quote

from infra.models.source import Gguf, HubModel, HuggingFace, Ir, key, parse


def default_cache() -> Path:
    """Return where models are kept unless someone says otherwise."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "catenary" / "models"


def prepared(source: str, cache: Path) -> Path | None:
    """Return the folder that the engine serves, or None; nothing is checked, made or downloaded.

    Raises:
        ModelError: the source is nothing that is known.
        OSError: it cannot be read.
    """
    return ready(parse(source), cache)


def ready(source: Ir | HuggingFace | Gguf | HubModel, cache: Path) -> Path | None:
    """Return the folder that the engine serves, or None."""
    if isinstance(source, Ir):
        return source.folder
    if isinstance(source, HubModel):
        local = downloaded(source, cache)
        return ready(parse(str(local)), cache) if local is not None else None
    folder = converted(source, cache)
    return folder if folder.is_dir() else None


def converted(source: HuggingFace | Gguf, cache: Path) -> Path:
    """Return where what is made from a source is, or will be."""
    return cache / key(source)


def downloads(model: HubModel, cache: Path) -> Path:
    """Return where the downloads of a model are: a folder for each commit."""
    return cache / "hub" / model.name.replace("/", "--")


def reference(model: HubModel, cache: Path) -> Path:
    """Return the file that tells what was downloaded when this revision, or file, was asked for."""
    name = quote(model.revision, safe="") + (f"+{model.file}" if model.file else "")
    return downloads(model, cache) / "references" / name


def downloaded(model: HubModel, cache: Path) -> Path | None:
    """Return what was downloaded, a folder or a GGUF file; None if nothing was."""
    told = reference(model, cache)
    if not told.is_file():
        return None
    found = downloads(model, cache) / told.read_text(encoding="utf-8")
    return found if found.exists() else None
