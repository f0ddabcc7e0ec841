"""The record of what was blocked: lines of JSON, appended to a file and never changed.

Each file begins with a line that holds its salt: whoever has the file and a text can tell whether
it was that text which was blocked, and two files cannot be compared.
"""

import fcntl
import hashlib
import json
import logging
import os
import queue
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
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
        self._writer = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._starting = threading.Lock()

    def add(self, blocked: Blocked) -> None:
        """Record a text that was blocked; without waiting, wherever the policy wants no record."""
        if not blocked.audit.file:
            return
        with self._starting:
            if self._writer.ident is None:
                self._writer.start()
        try:
            self._waiting.put_nowait(blocked)
        except queue.Full:
            self._metrics.audit_lost.inc()

    def close(self) -> None:
        """Write what is still waiting, if the disk takes it in time."""
        if self._writer.ident is None:
            return
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_CLOSE_S)
            self._writer.join(_CLOSE_S)

    def _write_all(self) -> None:
        failing = False
        while (blocked := self._waiting.get()) is not None:
            try:
                write(blocked)
                failing = False
            except (OSError, ValueError, KeyError) as error:
                self._metrics.audit_lost.inc()
                if not failing:
                    problem = {"file": blocked.audit.file, "error": type(error).__name__}
                    logger.error("the audit cannot be written", extra=problem)  # noqa: TRY400
                failing = True


def write(blocked: Blocked) -> None:
    """Append a record to its file, and see it on the disk. Several processes may share the file.

    Raises:
        OSError: it cannot be written.
        ValueError, KeyError: the file is something else.
    """
    path = Path(blocked.audit.file)
    with _opened(path) as file:
        salt = _salt(file)
        digest = hashlib.sha256(bytes.fromhex(salt) + blocked.text.encode(errors="surrogatepass"))
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
            path.replace(path.with_name(f"{path.name}.1"))


def _opened(path: Path) -> BufferedRandom:
    """Open the file for this process alone; nobody but its owner may read it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "a+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        # Another process may have turned the file over while this one waited.
        if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
            return file
        file.close()


def _salt(file: BufferedRandom) -> str:
    file.seek(0)
    first = file.readline()
    if first.endswith(b"\n"):
        return str(json.loads(first)["salt"])
    # New, or left by a process that ended in the midst of its first line.
    file.truncate(0)
    salt = secrets.token_hex(_SALT_BYTES)
    _append(file, {"salt": salt})
    return salt


def _append(file: BufferedRandom, record: Mapping[str, Any]) -> None:
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
    # A process may have ended in the midst of a line.
    start = b"" if file.read(1) in {b"", b"\n"} else b"\n"
    file.write(start + json.dumps(record).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())
