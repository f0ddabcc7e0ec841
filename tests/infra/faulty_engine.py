"""An engine's process with faults, started as Triton's model starts it."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.engine.admission import Admission, Limits
from infra.engine.engine import Generation
from infra.engine.failure import Failure, Reason
from infra.engine.figures import Figures
from infra.engine.frames import Piece, Timings
from infra.engine.guides import GuideChecker
from infra.engine.process import EngineProcess
from infra.engine.serving import Serving
from tests.infra.faulty_worker import BLOCK_TOKENS, BLOCKS

BOUND_S = 20
CONTEXT_WINDOW = 2048
FITS = BLOCKS * BLOCK_TOKENS
FINE = 7


@dataclass
class Caller:
    """One caller, and what was said to it."""

    tokens: int = 0
    failure: Failure | None = None
    accepted: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def accept(self) -> None:
        self.accepted.set()

    def take(self, piece: Piece, timings: Timings | None) -> None:
        assert not self.over.is_set(), "something after the end"
        self.tokens += len(piece.token_ids)
        if timings is not None:
            self.over.set()

    def fail(self, failure: Failure) -> None:
        assert not self.over.is_set(), "something after the end"
        self.failure = failure
        self.over.set()

    async def end(self) -> Failure | None:
        await asyncio.wait_for(self.over.wait(), BOUND_S)
        return self.failure

    async def reason(self) -> Reason | None:
        failure = await self.end()
        return None if failure is None else failure.reason


@dataclass
class Published:
    """What was published last."""

    figures: Figures | None = None

    def publish(self, figures: Figures) -> None:
        self.figures = figures

    def withdraw(self) -> None:
        self.figures = None


@dataclass
class Engine:
    """A serving with its process."""

    serving: Serving
    broken: Path

    def ask(self, kind: int = FINE, tokens: int = 10, **further: Any) -> Caller:
        wanted = Generation(input_ids=[FINE, kind], max_output_tokens=tokens, **further)
        return self.send(wanted)

    def send(self, wanted: Generation) -> Caller:
        caller = Caller()
        self.serving.accept(wanted, caller, {})
        return caller

    async def until_up(self) -> None:
        async with asyncio.timeout(BOUND_S):
            while not self.serving.process.is_up:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)

    async def works(self) -> None:
        """A request is served, and every place is free afterwards."""
        await self.until_up()
        caller = self.ask()
        assert await caller.end() is None
        assert caller.tokens == 10
        admission = self.serving.admission
        assert (admission.running, admission.running_tokens, admission.waiting) == (0, 0, 0)
        assert not self.serving.calls


@asynccontextmanager
async def engine(
    folder: Path,
    *,
    sequences: int = 2,
    waiting: int = 8,
    silence_s: float = 60,
    guides: Sequence[str] = (),
) -> AsyncIterator[Engine]:
    broken = folder / "broken"
    command = [sys.executable, "-m", "tests.infra.faulty_worker", "--broken", str(broken)]
    serving = Serving(
        EngineProcess(command, silence_s=silence_s),
        Admission(Limits(sequences, 0, waiting, 100_000), time.monotonic),
        GuideChecker(guides),
        Published(),
        None,
        CONTEXT_WINDOW,
    )
    running = asyncio.create_task(serving.run())
    try:
        async with asyncio.timeout(BOUND_S):
            await serving.process.ready()
        yield Engine(serving, broken)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
