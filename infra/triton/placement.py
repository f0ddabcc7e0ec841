"""Puts single models into Triton's repository and takes them out, each as a whole.

Replicas of the link share one repository, and Triton may be started anew at any moment: what stands
there is always a model that is to be loaded, and never half of one.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.triton import repository
from infra.triton.repository import ServedModel


def place(folder: Path, model: ServedModel, python: str, otlp_endpoint: str) -> bool:
    """Put a model into the repository in `folder`; return False when it stands there already.

    Raises:
        OSError, ValueError, KeyError: as `repository.write`.
    """
    there = folder / model.name
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{model.name}.") as name:
        beside = Path(name)
        repository.write(beside, [model], python, otlp_endpoint)
        made = beside / model.name
        if _is_placed(made, there):
            return False
        if there.exists():
            there.rename(beside / "before")
        try:
            made.rename(there)
        except OSError:
            # Another replica was faster.
            if not _is_placed(made, there):
                raise
            return False
    return True


def remove(folder: Path, name: str) -> None:
    """Take a model out of the repository in `folder`, if it is there."""
    (folder.parent / f".{name}.lock").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}.") as beside:
        try:
            (folder / name).rename(Path(beside) / name)
        except FileNotFoundError:
            return


@contextmanager
def reserved(folder: Path, name: str) -> Iterator[bool]:
    """Tell whether a model is this process's to load; it is until the block ends.

    Two that load a model at the same time would have Triton hold it twice.
    """
    with (folder.parent / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def clear(folder: Path) -> None:
    """Empty the repository; make it, when it is not there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _is_placed(made: Path, there: Path) -> bool:
    # Triton's Python writes what it has compiled beside the model.
    return _files(made).items() <= _files(there).items()


def _files(model: Path) -> dict[Path, bytes]:
    return {
        file.relative_to(model): file.read_bytes() for file in model.rglob("*") if file.is_file()
    }
