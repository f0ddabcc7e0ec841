"""The model of `catenary up --model`: made ready, and served alone."""

from pathlib import Path

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from infra.models.cache import default_cache, prepared
from infra.models.errors import ModelError
from infra.models.report import Report
from infra.models.source import last_part, parse


def check(source: str) -> None:
    """Check that a source is a folder, a file or a hub's name of the kinds that are known.

    Raises:
        ModelError: it is not.
        OSError: it cannot be read.
    """
    if not source.strip():
        raise ModelError("--model", "names nothing: give a folder, a GGUF file or a hub's name")
    parse(source)


def write_models(source: str, folder: Path, console: Console) -> Path:
    """Make a model ready, write a models.yaml with nothing else to `folder`, and return that file.

    Raises:
        ModelError: the model cannot be served.
        OSError: a file cannot be read or written.
    """
    name = last_part(source)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        shown = progress.add_task(name, total=None)

        def report(task: str, done: int, total: int) -> None:
            progress.update(
                shown, description=f"{task} {name}", completed=done, total=total or None
            )

        path = _ready(source, report)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "models.yaml"
    content = {"models": [{"name": name, "path": str(path)}]}
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return file


def _ready(source: str, report: Report) -> Path:
    cache = default_cache()
    folder = prepared(source, cache)
    if folder is not None:
        return folder
    # What converts takes a second to load, and memory for as long as the mesh runs.
    from infra.models.prepare import prepare  # noqa: PLC0415

    return prepare(source, cache, report)
