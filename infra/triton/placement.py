"""Puts single models into Triton's repository and takes them out, each as a whole.

Replicas of the link share one repository, and Triton may be started anew at any moment: what stands
there is always a model that is to be loaded, and never half of one. The replicas' locks are the
kernel's, so that one that is killed holds none.
"""

import enum
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from infra.triton import repository
from infra.triton.repository import ServedModel


class Standing(enum.Enum):
    """What has come of putting a model into the repository."""

    NEW = enum.auto()
    """It stands there now."""
    SAME = enum.auto()
    """It stood there already."""
    OTHER = enum.auto()
    """Another one stands there under its name, and goes on to do so."""


def place(folder: Path, model: ServedModel, python: str, otlp_endpoint: str) -> Standing:
    """Put a model into the repository in `folder`, unless one of its name stands there.

    Raises:
        OSError, ValueError, KeyError: as `repository.write`.
    """
    there = folder / model.name
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{model.name}.") as name:
        beside = Path(name)
        repository.write(beside, [model], python, otlp_endpoint)
        made = beside / model.name
        if there.exists():
            return Standing.SAME if _is_placed(made, there) else Standing.OTHER
        made.rename(there)
    return Standing.NEW


def remove(folder: Path, name: str) -> None:
    """Take a model out of the repository in `folder`, if it is there."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}.") as beside:
        try:
            (folder / name).rename(Path(beside) / name)
        except FileNotFoundError:
            return


@contextmanager
def reserved(folder: Path, name: str) -> Iterator[bool]:
    """Tell whether a model is this process's to load and unload; it is until the block ends.

    Triton does not survive the load of a model that it still unloads.
    """
    path = folder.parent / f".{name}.lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        if not _is_at(lock, path):
            # Whoever had it before has removed it meanwhile.
            yield False
            return
        try:
            yield True
        finally:
            if not (folder / name).exists():
                path.unlink()


def hold(folder: Path, name: str) -> IO[str]:
    """Say that this process serves a placed model, until the file that is returned is closed."""
    file = _config(folder, name).open("r+", encoding="utf-8")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def is_held(folder: Path, name: str) -> bool:
    """Tell whether anybody serves a model; who asks has reserved it, and does not hold it."""
    try:
        with _config(folder, name).open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


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


def _config(folder: Path, name: str) -> Path:
    return folder / name / "config.pbtxt"


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
