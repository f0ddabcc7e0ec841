"""One process at a time makes a file or folder."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.models.errors import ModelError
from infra.models.report import Report

_WAIT_S = 3600.0
_POLL_S = 0.2


@contextmanager
def locked(target: Path, report: Report) -> Iterator[None]:
    """Hold the right to make `target`; a process that dies gives it back.

    Raises:
        ModelError: another process has held it for an hour.
        OSError: the lock cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _WAIT_S
    with target.with_name(f"{target.name}.lock").open("w") as file:
        while not _taken(file.fileno()):
            report("waiting for another process that prepares it", 0, 0)
            if time.monotonic() > deadline:
                raise ModelError(target, "is being made by a process that hangs")
            time.sleep(_POLL_S)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
