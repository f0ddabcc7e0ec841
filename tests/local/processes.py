"""Small real processes that stand for parts, and what is heard of them."""

import asyncio
import os
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from catenary.health import NotReadyError
from infra.local.part import Part

SLEEP = "import signal; signal.pause()"
"""Runs until it is told to end."""


def part(name: str, code: str, folder: Path, *, stop_s: float = 5.0, ready: bool = True) -> Part:
    """A part that runs Python code, and is ready once it has made its file, `folder / name`."""
    flag = folder / name
    say_ready = f"import pathlib; pathlib.Path({str(flag)!r}).touch(); " if ready else ""

    async def probe() -> None:
        if not flag.exists():
            raise NotReadyError("does not answer")
        # Each run says so for itself.
        flag.unlink()

    return Part(
        name=name,
        kind="links",
        command=[sys.executable, "-c", say_ready + code],
        probe=probe,
        address="127.0.0.1:1",
        metrics="",
        ports={},
        stop_s=stop_s,
    )


@dataclass
class Heard:
    """A report that keeps what it hears."""

    pids: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    deaths: list[tuple[str, str, list[str]]] = field(
        default_factory=list[tuple[str, str, list[str]]]
    )
    pauses_s: list[float] = field(default_factory=list[float])
    stopped: bool = False
    completed: asyncio.Event = field(default_factory=asyncio.Event)
    readiness: asyncio.Queue[str] = field(default_factory=asyncio.Queue[str])

    def started(self, part: Part, pid: int) -> None:
        self.pids.setdefault(part.name, []).append(pid)

    def ready(self, part: Part, after_s: float) -> None:
        assert after_s > 0
        self.readiness.put_nowait(part.name)

    def complete(self) -> None:
        self.completed.set()

    def stopping(self) -> None:
        self.stopped = True

    def ended(self, part: Part, how: str, last_lines: Sequence[str], restart_in_s: float) -> None:
        self.deaths.append((part.name, how, list(last_lines)))
        self.pauses_s.append(restart_in_s)


def ends(pid: int, within_s: float = 10.0) -> bool:
    """Tell whether a process, of whomever, has ended or ends in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        return bool(poller.poll(within_s * 1000))
    finally:
        os.close(handle)
