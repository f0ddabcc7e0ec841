"""The engine's process, seen from the one that started it: generations in, updates out.

A process that dies, or is stuck, fails its generations at once, and another one is started: nobody
else could. The more often it fails, the longer the pause before it is started again.
"""

import asyncio
import logging
import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from infra.engine import frames
from infra.engine.engine import Generation, KvCache
from infra.engine.failure import Failure, Reason

_log = logging.getLogger(__name__)

_PROJECT = Path(__file__).resolve().parents[2]
_RECEIVE_BYTES = 1 << 20
_EXIT_S = 10.0
"""An engine on several GPUs takes some seconds to let go of them."""
_LONGEST_PAUSE_S = 30.0
_FIRST_PAUSE_S = 0.5
_STEADY_S = 60.0
START_S = 300.0
SILENCE_S = 120.0
"""A process that can speak does so every second. It cannot within a step, and a step may take long:
256 tokens of prompt through a model of 7 B parameters take two CPU cores about 40 s."""

Deliver = Callable[[frames.Update], None]


class Host(Protocol):
    """Whoever wants to know how the process fares."""

    def up(self, kv_cache: KvCache) -> None:
        """It takes generations."""
        ...

    def down(self) -> None:
        """It takes none any more; those that it had fail after this."""
        ...

    def did(self, work: frames.Work) -> None:
        """It has worked."""
        ...


@dataclass(slots=True)
class EngineProcess:
    """Keeps an engine's process running. All of it lives on one event loop."""

    command: Sequence[str]
    """What starts the worker, without its `--socket`."""
    start_s: float = START_S
    """How long it may take to load the model."""
    silence_s: float = SILENCE_S
    """Without a word for so long, it is stuck."""
    engine: str = ""
    """The engine's name, once it has been ready."""
    is_broken: bool = False
    """It could not be started the last time."""
    _writer: asyncio.StreamWriter | None = None
    _delivers: dict[int, Deliver] = field(default_factory=dict[int, Deliver])
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _problem: str = "its process ended without a word"

    @property
    def is_up(self) -> bool:
        """Whether it takes generations."""
        return self._writer is not None

    def start(self, identity: int, generation: Generation, deliver: Deliver) -> None:
        """Begin a generation; `deliver` gets its updates, the last of which has its end.

        Raises:
            ConnectionError: the engine is not running.
        """
        if self._writer is None:
            raise ConnectionError("the engine is not running")
        self._delivers[identity] = deliver
        _send(self._writer, frames.Start(identity, generation))

    def cancel(self, identity: int) -> bool:
        """Stop a generation, whose end follows; return False if it is not in the engine."""
        if self._writer is None or identity not in self._delivers:
            return False
        _send(self._writer, frames.Cancel(identity))
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
            raise ConnectionError(f"the engine cannot be started: {self._problem}")

    async def run(self, host: Host) -> None:
        """Keep the process running until cancelled; return when it could not be started at all."""
        clock = asyncio.get_running_loop().time
        failures = 0
        try:
            while True:
                started = clock()
                try:
                    await self._serve(host)
                except OSError:
                    self.is_broken = True
                    _log.exception("the engine's process cannot be started")
                if not self._ready.is_set():
                    return
                failures = 1 if clock() - started > _STEADY_S else failures + 1
                await asyncio.sleep(_pause_s(failures))
        finally:
            self._gone.set()

    async def _serve(self, host: Host) -> None:
        """Run the process once, until it ends."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.command,
                    "--socket",
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    cwd=_PROJECT,
                )
            except BaseException:
                writer.close()
                raise
        try:
            await self._read(reader, writer, host)
        except TimeoutError:
            _log.error("the engine's process is stuck, and is killed")
            process.kill()
        finally:
            self.is_broken = not self.is_up
            self._writer = None
            host.down()
            failed = self._fail_all()
            _send(writer, frames.Stop())
            writer.close()
            await _end(process)
        _log.error(
            "the engine's process ended with code %s, and %d generations with it",
            process.returncode,
            failed,
        )

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host
    ) -> None:
        buffer = bytearray()
        while data := await _receive(reader, self.silence_s if self.is_up else self.start_s):
            buffer += data
            for body in frames.unpack(buffer):
                message = frames.to_model.decode(body)
                if isinstance(message, frames.Ready):
                    self.engine = message.engine
                    self._writer = writer
                    self._ready.set()
                    host.up(message.kv_cache)
                elif isinstance(message, frames.Broken):
                    self._problem = message.problem
                else:
                    host.did(message.work)
                    for update in message.updates:
                        self._deliver(update)

    def _deliver(self, update: frames.Update) -> None:
        if update.end is None:
            self._delivers[update.id](update)
        else:
            self._delivers.pop(update.id)(update)

    def _fail_all(self) -> int:
        failure = Failure(Reason.ENGINE_FAILED, "the engine died under the request", 1.0)
        delivers, self._delivers = self._delivers, {}
        for identity, deliver in delivers.items():
            deliver(frames.Update(identity, [], frames.End(0, 0, 0, 0, failure)))
        return len(delivers)


def _send(
    writer: asyncio.StreamWriter, message: frames.Start | frames.Cancel | frames.Stop
) -> None:
    """Send a message, unless the process has just gone: uvloop raises what asyncio passes over."""
    if not writer.transport.is_closing():
        writer.write(frames.pack(message))


def _pause_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row; not at all after the first."""
    return min(_FIRST_PAUSE_S * (math.exp2(min(failures - 1, 8)) - 1), _LONGEST_PAUSE_S)


async def _receive(reader: asyncio.StreamReader, silence_s: float) -> bytes:
    """Return what came, and nothing at the end.

    Raises:
        TimeoutError: nothing came for too long.
    """
    try:
        async with asyncio.timeout(silence_s):
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
