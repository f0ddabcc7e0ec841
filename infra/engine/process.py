"""The engine's process, seen from the one that started it: generations in, updates out.

A process that dies fails its generations at once, and is started again a bounded number of times.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.engine import frames
from infra.engine.engine import Generation
from infra.engine.failure import Failure, Reason

_log = logging.getLogger(__name__)

_PROJECT = Path(__file__).resolve().parents[2]
_RECEIVE_BYTES = 1 << 20
_EXIT_S = 2.0
_RESTARTS = 5
_RESTART_PAUSE_S = 0.5
_STEADY_S = 60.0

Deliver = Callable[[frames.Update], None]


@dataclass(slots=True)
class EngineProcess:
    """Keeps an engine's process running. All of it lives on one event loop."""

    command: Sequence[str]
    """What starts the worker, without its `--socket`."""
    engine: str = ""
    """The engine's name, once it has been ready."""
    kv_cache_usage_ratio: float = 0.0
    """The share of the KV cache in use, when the engine last spoke."""
    _writer: asyncio.StreamWriter | None = None
    _delivers: dict[int, Deliver] = field(default_factory=dict[int, Deliver])
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, identity: int, generation: Generation, deliver: Deliver) -> None:
        """Begin a generation; `deliver` gets its updates, the last of which has its end.

        Raises:
            ConnectionError: the engine is not running.
        """
        if self._writer is None:
            raise ConnectionError("the engine is not running")
        self._delivers[identity] = deliver
        self._writer.write(frames.pack(frames.Start(identity, generation)))

    def cancel(self, identity: int) -> bool:
        """Stop a generation, whose end follows; return False if it is not in the engine."""
        if self._writer is None or identity not in self._delivers:
            return False
        self._writer.write(frames.pack(frames.Cancel(identity)))
        return True

    async def ready(self) -> None:
        """Wait until the engine is loaded.

        Raises:
            ConnectionError: it cannot be started.
        """
        waits = [asyncio.create_task(event.wait()) for event in (self._ready, self._gone)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self._gone.is_set():
            raise ConnectionError("the engine cannot be started; the lines above tell why")

    async def run(self) -> None:
        """Keep the process running until cancelled.

        Returns when it could not be started at all, or has failed too often in a row.
        """
        clock = asyncio.get_running_loop().time
        failures = 0
        try:
            while failures <= _RESTARTS:
                started = clock()
                await self._serve()
                if not self._ready.is_set():
                    return
                failures = 1 if clock() - started > _STEADY_S else failures + 1
                await asyncio.sleep(_RESTART_PAUSE_S * (failures - 1))
            _log.error("the engine failed %d times in a row and stays down", failures)
        finally:
            self._gone.set()

    async def _serve(self) -> None:
        """Run the process once, until it ends."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                "--socket",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                cwd=_PROJECT,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            await self._read(reader, writer)
        finally:
            self._writer = None
            writer.write(frames.pack(frames.Stop()))
            writer.close()
            await _end(process)
            self._fail_all()
        _log.error("the engine's process ended with code %s", process.returncode)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = bytearray()
        while data := await _receive(reader):
            buffer += data
            for body in frames.unpack(buffer):
                message = frames.to_model.decode(body)
                if isinstance(message, frames.Ready):
                    self.engine = message.engine
                    self._writer = writer
                    self._ready.set()
                else:
                    self.kv_cache_usage_ratio = message.kv_cache_usage_ratio
                    for update in message.updates:
                        self._deliver(update)

    def _deliver(self, update: frames.Update) -> None:
        if update.end is None:
            self._delivers[update.id](update)
        else:
            self._delivers.pop(update.id)(update)

    def _fail_all(self) -> None:
        failure = Failure(Reason.ENGINE_FAILED, "the engine died under the request", 1.0)
        for identity, deliver in list(self._delivers.items()):
            deliver(frames.Update(identity, [], frames.End(0, 0, 0, 0, failure)))
        self._delivers.clear()


async def _receive(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(_RECEIVE_BYTES)
    except ConnectionError:
        return b""


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let the process end by itself, as it does once its socket is closed; then make it."""
    try:
        async with asyncio.timeout(_EXIT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
