"""One run of a part: a process group, from its start to the end of its last process."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from infra.local import guard as guard_script
from infra.local.children import Child, Command
from infra.local.log import PartLog
from infra.local.part import Part

_READ_BYTES = 64 * 1024
_OUTPUT_END_S = 2.0


class Guard:
    """The process that kills the groups when the supervisor is killed."""

    _process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", guard_script.__file__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            # Away from the terminal, whose Ctrl-C is for the supervisor.
            start_new_session=True,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tell.close()
        await self._process.wait()

    def watch(self, group: int) -> None:
        """Kill this process group if the supervisor dies."""
        self._tell.write(f"+{group}\n".encode())

    def forget(self, group: int) -> None:
        """The process group has ended; its number may soon be somebody else's."""
        self._tell.write(f"-{group}\n".encode())

    @property
    def _tell(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        return self._process.stdin


class Process:
    """A part that runs, with all the processes that it starts itself."""

    def __init__(
        self, part: Part, child: asyncio.subprocess.Process, output: int, log: PartLog
    ) -> None:
        self.part = part
        self.log = log
        self.pid = child.pid
        self.started = time.monotonic()
        self.children: Mapping[Child, Command] = {}
        """What it had started itself when it became ready."""
        self._child = child
        self._output = output
        self._failure = ""
        self.end: asyncio.Task[str]
        """Done once nothing of the part runs any more: how it ended, in words."""

    @classmethod
    async def start(cls, part: Part, log: PartLog, guard: Guard) -> "Process":
        """Start the part.

        Raises:
            OSError: its program cannot be run.
        """
        log.begin()
        _clear(part)
        # A pipe of our own: asyncio would take the part for running as long as anything that it
        # started holds a pipe of asyncio's (python/cpython#119710).
        output, written = os.pipe()
        try:
            child = await asyncio.create_subprocess_exec(
                *part.command,
                env=part.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(written)
        guard.watch(child.pid)
        process = cls(part, child, output, log)
        process.end = asyncio.create_task(process._run(guard))
        return process

    async def stop(self) -> None:
        """Ask the part to end; make it, when it takes longer than it may."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()
        await asyncio.wait([self.end], timeout=self.part.stop_s)
        if not self.end.done():
            self._kill()
        await self.end

    def fail(self, how: str) -> None:
        """End the part: it is of no use any more, for a reason in words."""
        self._failure = how
        self._kill()

    async def _run(self, guard: Guard) -> str:
        output = asyncio.create_task(self._read_output())
        code = await self._child.wait()
        # What it started must not outlive it: it would hold ports, memory and the pipe.
        self._kill()
        await asyncio.wait([output], timeout=_OUTPUT_END_S)
        output.cancel()
        _clear(self.part)
        guard.forget(self.pid)
        return self._failure or _in_words(code)

    async def _read_output(self) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._output, "rb", 0)
        )
        try:
            while data := await reader.read(_READ_BYTES):
                self.log.feed(data)
        finally:
            transport.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def _clear(part: Part) -> None:
    if part.clear is not None:
        part.clear()


def _in_words(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was ended by signal {-code}"
