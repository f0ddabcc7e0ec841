"""Keeps the parts of a mesh running: starts them, waits for them, restarts them, stops them."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from catenary.health import FailedError, NotReadyError
from infra.local import children, hanging
from infra.local.errors import PartFailedError
from infra.local.log import PartLog
from infra.local.part import Part, Tiers
from infra.local.process import Guard, Process

_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the supervisor waits for a part, and how often it starts one again."""

    start_s: float = 600.0
    """From a part's start until it must be ready; a large model takes minutes to load."""
    restarts: int = 5
    """How often one part is started again within `window_s`."""
    window_s: float = 60.0
    silence_s: float = 60.0
    """How long a part that is ready may answer nothing: a machine may be very busy."""
    pause_s: float = 0.2
    """Before the first restart; each further one within `window_s` waits twice as long."""


class Report(Protocol):
    """Hears what happens to the parts."""

    def started(self, part: Part, pid: int) -> None:
        """Hear that a part's process runs."""

    def ready(self, part: Part, after_s: float) -> None:
        """Hear that a part can serve, and how long it took from its start."""

    def complete(self) -> None:
        """Hear that every part has become ready."""

    def stopping(self) -> None:
        """Hear that the parts are being stopped."""

    def ended(self, part: Part, how: str, last_lines: Sequence[str], restart_in_s: float) -> None:
        """Hear that a part has ended by itself, and when it is started again."""


class Supervisor:
    """Runs parts in tiers: the first holds what the others need, and stops last."""

    def __init__(
        self,
        tiers: Tiers,
        logs: Path,
        report: Report,
        limits: Limits = Limits(),
    ) -> None:
        self._tiers = tiers
        self._logs = logs
        self._report = report
        self._limits = limits
        self._processes: dict[str, Process] = {}
        self._not_ready = {part.name for tier in tiers for part in tier}

    async def run(self, stop: asyncio.Event) -> None:
        """Run every part until `stop` is set; nothing of them runs afterwards.

        Raises:
            PartFailedError: a part cannot be started, or ends too often.
        """
        with ExitStack() as files:
            async with Guard() as guard:
                try:
                    await self._run(stop, guard, files)
                finally:
                    await self._stop_all()

    async def _run(self, stop: asyncio.Event, guard: Guard, files: ExitStack) -> None:
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
        for part in (part for tier in self._tiers for part in tier):
            log = PartLog(self._logs / f"{part.name}.log")
            files.callback(log.close)
            tasks.append(asyncio.create_task(self._keep(part, log, guard)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, part: Part, log: PartLog, guard: Guard) -> None:
        """Keep one part running; returns never."""
        limits, deaths = self._limits, deque[float]()
        while True:
            process = await self._start(part, log, guard)
            was_ready = await self._becomes_ready(process)
            how = await self._ends(process)
            if not was_ready and not deaths:
                problem = f"{how} before it was ready{_why(part, log.last())}"
                raise PartFailedError(part.name, problem, log.last())
            now = time.monotonic()
            while deaths and now - deaths[0] > limits.window_s:
                deaths.popleft()
            if len(deaths) == limits.restarts:
                problem = f"{how}, after {limits.restarts} restarts in {limits.window_s:.0f} s"
                raise PartFailedError(part.name, problem, log.last())
            pause_s = limits.pause_s * 2 ** len(deaths)
            deaths.append(now)
            self._report.ended(part, how, log.last(), pause_s)
            await asyncio.sleep(pause_s)

    async def _ends(self, process: Process) -> str:
        """Wait until the part has ended, and end it once it is of no use any more."""
        part, failures = process.part, list[asyncio.Task[str]]()
        if part.needs_child is not None:
            lost = children.lost(process.pid, process.children, part.needs_child)
            failures.append(asyncio.create_task(lost))
        if part.alive is not None or part.crashes:
            hangs = hanging.hangs(part, process.log, self._limits.silence_s)
            failures.append(asyncio.create_task(hangs))
        try:
            await asyncio.wait([*failures, process.end], return_when=asyncio.FIRST_COMPLETED)
            if not process.end.done():
                process.fail(next(failure.result() for failure in failures if failure.done()))
            return await asyncio.shield(process.end)
        finally:
            for failure in failures:
                failure.cancel()
            await asyncio.gather(*failures, return_exceptions=True)

    async def _start(self, part: Part, log: PartLog, guard: Guard) -> Process:
        try:
            process = await Process.start(part, log, guard)
        except OSError as error:
            raise PartFailedError(part.name, f"cannot be started: {error}") from None
        self._processes[part.name] = process
        self._report.started(part, process.pid)
        return process

    async def _becomes_ready(self, process: Process) -> bool:
        """Wait until the part can serve; return False when it ends before that."""
        part, why = process.part, "was not asked yet"
        try:
            async with asyncio.timeout(self._limits.start_s):
                while not process.end.done():
                    try:
                        await part.probe()
                    except FailedError as error:
                        if part.name in self._not_ready:
                            raise PartFailedError(part.name, str(error)) from None
                        # Started again it serves as well as it can.
                        return await self._is_ready(process)
                    except NotReadyError as error:
                        why = str(error)
                        await asyncio.wait([process.end], timeout=_POLL_S)
                    else:
                        return await self._is_ready(process)
        except TimeoutError:
            problem = f"was not ready within {self._limits.start_s:.0f} s: it {why}"
            raise PartFailedError(part.name, problem, process.log.last()) from None
        return False

    async def _is_ready(self, process: Process) -> bool:
        if process.part.needs_child is not None:
            process.children = await children.running(process.pid)
        self._report.ready(process.part, time.monotonic() - process.started)
        if self._not_ready:
            self._not_ready.discard(process.part.name)
            if not self._not_ready:
                self._report.complete()
        return True

    async def _stop_all(self) -> None:
        self._report.stopping()
        for tier in self._stopping_order():
            running = [self._processes[part.name] for part in tier if part.name in self._processes]
            await asyncio.gather(*(process.stop() for process in running))

    def _stopping_order(self) -> Iterator[Sequence[Part]]:
        """Give the tier that drains first: its streams run through all the others."""
        parts = [part for tier in self._tiers for part in tier]
        yield [part for part in parts if part.drains]
        for tier in reversed(self._tiers):
            yield [part for part in tier if not part.drains]


def _why(part: Part, last_lines: Sequence[str]) -> str:
    """Return the line that tells why a part cannot start, to be appended to how it ended."""
    if not last_lines:
        return ""
    telling = [line for line in last_lines if part.telling in line] if part.telling else []
    return f": {(telling or last_lines)[-1]}"
