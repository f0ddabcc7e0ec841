"""The record of what was blocked: lines of JSON, appended to a file and never changed.

Each file begins with a line that holds its salt: whoever has the file and a text can tell whether
it was that text which was blocked, and two files cannot be compared. A file that begins with
anything else is turned over like a full one: nothing that stands in it stops the record.
"""

import fcntl
import hashlib
import json
import logging
import os
import queue
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedRandom
from pathlib import Path
from typing import Any, NamedTuple

from catenary.config.v1 import safety_pb2 as config_pb
from services.safety.metrics import SafetyMetrics

logger = logging.getLogger(__name__)

_MAX_WAITING = 1000
_CLOSE_S = 5.0
_SALT_BYTES = 16
_HEAD = re.compile(rb'\{"salt": "([0-9a-f]{%d})"\}\n' % (2 * _SALT_BYTES))
_HEAD_BYTES = 2 * _SALT_BYTES + len('{"salt": ""}\n')


class Blocked(NamedTuple):
    """One text that did not pass."""

    audit: config_pb.SafetyAudit
    """Where it is recorded, and whether with its text."""
    text: str
    record: Mapping[str, Any]


class Audit:
    """Writes records in a thread of its own; what cannot be written is counted, and lost."""

    def __init__(self, metrics: SafetyMetrics) -> None:
        self._metrics = metrics
        self._waiting: queue.Queue[Blocked | None] = queue.Queue(_MAX_WAITING)
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()

    def add(self, blocked: Blocked) -> None:
        """Record a text that was blocked; without waiting, wherever the policy wants no record."""
        if not blocked.audit.file:
            return
        with self._starting:
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._write_all, name="audit", daemon=True)
                self._writer.start()
        try:
            self._waiting.put_nowait(blocked)
        except queue.Full:
            self._metrics.audit_lost.inc()

    def close(self) -> None:
        """Write what is still waiting, if the disk takes it in time."""
        if self._writer is None:
            return
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_CLOSE_S)
            self._writer.join(_CLOSE_S)

    def _write_all(self) -> None:
        is_failing = False
        while (blocked := self._waiting.get()) is not None:
            is_written = False
            try:
                write(blocked)
                is_written = True
            except Exception as error:  # noqa: BLE001 - whatever it is, the next one is written
                if not is_failing:
                    problem = {"file": blocked.audit.file, "error": type(error).__name__}
                    logger.error("the audit cannot be written", extra=problem)  # noqa: TRY400
            finally:
                # Also where the thread ends, and the next block starts another.
                is_failing = not is_written
                if is_failing:
                    self._metrics.audit_lost.inc()


def write(blocked: Blocked) -> None:
    """Append a record to its file, and see it on the disk. Several processes may share the file.

    Raises:
        OSError: it cannot be written.
    """
    path, keep = Path(blocked.audit.file), blocked.audit.keep
    with _opened(path, keep) as (file, salt):
        digest = hashlib.sha256(salt + blocked.text.encode(errors="surrogatepass"))
        record = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **blocked.record,
            "chars": len(blocked.text),
            "sha256": digest.hexdigest(),
        }
        if blocked.audit.with_text:
            record["text"] = blocked.text
        _append(file, record)
        if file.tell() >= blocked.audit.max_bytes:
            _turn_over(path, keep)


@contextmanager
def _opened(path: Path, keep: int) -> Iterator[tuple[BufferedRandom, bytes]]:
    """Open the file for this process alone, with its salt; only its owner may read it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Another process may have turned the file over while this one waited.
            if not _is_named(path, descriptor):
                continue
            salt = _salt(file)
            if salt is None:
                _turn_over(path, keep)
                continue
            yield file, salt
            return


def _is_named(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _salt(file: BufferedRandom) -> bytes | None:
    """Return the salt of the first line, which is written if there is none; None for another."""
    file.seek(0)
    first = file.read(_HEAD_BYTES)
    if head := _HEAD.fullmatch(first):
        return bytes.fromhex(head[1].decode())
    if first:
        return None
    salt = secrets.token_bytes(_SALT_BYTES)
    _append(file, {"salt": salt.hex()})
    return salt


def _turn_over(path: Path, keep: int) -> None:
    """Name the file `….1` and older ones after their age, the oldest of which goes."""
    for age in range(keep - 1, 0, -1):
        with suppress(FileNotFoundError):
            _aged(path, age).replace(_aged(path, age + 1))
    path.replace(_aged(path, 1))


def _aged(path: Path, age: int) -> Path:
    return path.with_name(f"{path.name}.{age}")


def _append(file: BufferedRandom, record: Mapping[str, Any]) -> None:
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
    # A process may have ended in the midst of a line.
    start = b"" if file.read(1) in {b"", b"\n"} else b"\n"
    file.write(start + json.dumps(record).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())
