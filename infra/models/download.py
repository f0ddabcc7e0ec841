"""Downloads a file: what was cut is resumed, and what has come is checked."""

import hashlib
import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.models.errors import ModelError
from infra.models.http import Connection, why

_ATTEMPTS = 5
"""How often in a row a download may stop without having brought anything."""
_PIECE_BYTES = 1 << 20
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on a hub."""

    name: str
    size: int
    """In bytes."""
    checksum: str
    """SHA-256 of a large file, Git's SHA-1 of a small one; in hexadecimal digits."""


def fetch(connection: Connection, path: str, file: RemoteFile, target: Path) -> Iterator[int]:
    """Download a file, or what is missing of it; yield how many bytes of it are there.

    Raises:
        ModelError: the hub refuses, sends something else, or stops again and again.
        OSError: the file cannot be written.
    """
    if target.is_file():
        yield file.size
        return
    part = target.with_name(f"{target.name}.part")
    part.touch()
    failures = 0
    while (have := part.stat().st_size) < file.size:
        try:
            yield from _append(connection, path, file, part)
        except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
            failures = 0 if part.stat().st_size > have else failures + 1
            if failures == _ATTEMPTS:
                problem = f"cannot be downloaded: {why(error)}; what has come is kept"
                raise ModelError(file.name, problem) from None
    if have != file.size or _checksum(part, file) != file.checksum:
        part.unlink()
        raise ModelError(file.name, "is not what the hub says it is: its checksum is another")
    part.replace(target)
    yield file.size


def _append(connection: Connection, path: str, file: RemoteFile, part: Path) -> Iterator[int]:
    """Fetch what is missing, or everything from a server that cannot begin in the middle."""
    start = part.stat().st_size
    with connection.open(path, file.name, start) as answer:
        resumes = answer.status == http.client.PARTIAL_CONTENT
        with part.open("ab" if resumes else "wb") as output:
            while piece := answer.read(_PIECE_BYTES):
                output.write(piece)
                yield output.tell()
    if part.stat().st_size < file.size:
        raise ConnectionError("the connection was cut")


def _checksum(path: Path, file: RemoteFile) -> str:
    """Return the checksum of what has come, of the kind that the hub tells."""
    if len(file.checksum) == _SHA256_DIGITS:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as content:
        while piece := content.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
