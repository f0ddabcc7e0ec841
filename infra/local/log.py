"""What a part writes: the last lines in memory, more of them in a file, both bounded."""

from collections import deque
from pathlib import Path

MAX_FILE_BYTES = 8 * 1024 * 1024
"""How large a log may grow before it becomes `….log.1`, in place of the one before it."""

LAST_LINES = 8
_MAX_LINE_BYTES = 2000


class PartLog:
    """Takes the output of one part, run after run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb", buffering=0)
        self._size = 0
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._line = b""

    def begin(self) -> None:
        """Forget the last lines: the part starts anew."""
        self._last.clear()
        self._line = b""

    def feed(self, data: bytes) -> None:
        """Take a piece of output; it may end within a line."""
        if self._size + len(data) > MAX_FILE_BYTES:
            self._file.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._file = self._path.open("wb", buffering=0)
            self._size = 0
        self._file.write(data)
        self._size += len(data)
        *lines, rest = (self._line + data).split(b"\n")
        for line in lines[-LAST_LINES:]:
            self._keep(line)
        self._line = rest[:_MAX_LINE_BYTES]

    def last(self) -> list[str]:
        """Return the last lines of this run, oldest first."""
        unfinished = [_readable(self._line)] if self._line else []
        return [*self._last, *unfinished][-LAST_LINES:]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _keep(self, line: bytes) -> None:
        if line.strip():
            self._last.append(_readable(line))


def _readable(line: bytes) -> str:
    """Return the line without what would steer a terminal."""
    text = line[:_MAX_LINE_BYTES].decode(errors="replace").rstrip().expandtabs()
    return "".join(character if character.isprintable() else "?" for character in text)
