"""Turns any source of a model into a folder that the engine serves, once."""

import shutil
from pathlib import Path

from infra.models import gguf_model, hub, huggingface, ir
from infra.models.cache import converted, ready
from infra.models.lock import locked
from infra.models.report import Report, silent
from infra.models.source import Gguf, HubModel, HuggingFace, Ir, parse


def prepare(source: str, cache: Path, report: Report = silent) -> Path:
    """Return a folder that the engine serves; it is made, in `cache`, unless it is there.

    A model of a hub is asked for once: what was downloaded stays as it is.

    Raises:
        ModelError: the model is not there, is broken, or is of an unknown architecture.
        OSError: a file cannot be read or written.
    """
    known = parse(source)
    if isinstance(known, Ir):
        ir.check(known.folder)
        return known.folder
    folder = ready(known, cache)
    if folder is not None:
        return folder
    if isinstance(known, HubModel):
        return prepare(str(hub.download(known, cache, report)), cache, report)
    return _convert(known, converted(known, cache), report)


def _convert(source: HuggingFace | Gguf, target: Path, report: Report) -> Path:
    with locked(target, report):
        if target.is_dir():  # somebody else was faster
            return target
        unfinished = target.with_name(f"{target.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            if isinstance(source, Gguf):
                gguf_model.convert(source.file, unfinished, report)
            else:
                huggingface.convert(source.folder, unfinished, report)
            ir.check(unfinished)
            unfinished.rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return target
