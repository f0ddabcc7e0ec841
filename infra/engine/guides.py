"""Tries guides before the engine sees them, in a process of their own.

Compiling a guide may fail, which would break the engine, and a malicious one takes for ever. It is
ended with its process then, and a spare one, started ahead, goes on with the next guide.
"""

import asyncio
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from infra.engine.engine import Generation

_PROJECT = Path(__file__).resolve().parents[2]
_START_S = 30.0
_COMPILE_S = 1.0
"""The processor's time that a guide may take: a busy machine refuses no more than an idle one."""
_ANSWER_S = 15.0
"""How long an answer may take on a machine that is so busy that it takes no time of its own."""
_END_S = 5.0
_TURN_S = 5.0
"""How long a guide waits for those before it."""
_MAX_ASKED = 4
"""The most guides that are tried or wait for it."""
_FIRST_GUESS_S = 0.1
_LEAST_S = 0.1
_WEIGHT_OF_NEWEST = 0.3
_REMEMBERED = 256
_LINE_BYTES = 1 << 20


class Guide(msgspec.Struct, frozen=True):
    """What a completion must follow; at most one is set."""

    json_schema: str | None = None
    regex: str | None = None
    structural_tag: str | None = None

    @classmethod
    def of(cls, generation: Generation) -> Self:
        """Return the guide of a generation."""
        return cls(generation.json_schema, generation.regex, generation.structural_tag)

    @property
    def field(self) -> str:
        """The one that is set; an empty text for none."""
        fields = self.__struct_fields__
        return next((name for name in fields if getattr(self, name) is not None), "")


_BEGINNING = re.compile(r"(?s)(?:[^\0\\.^$*+?{}\[\]|()]|\\[\\.^$*+?{}\[\]|()]){1,256}\[\\s\\S\]\*")


def is_harmless(guide: Guide) -> bool:
    """Tell whether a guide compiles for certain: it says how a text begins, and no more.

    Answers that are continued come with such guides, many at once when a replica is gone.
    """
    return guide.field == "regex" and bool(_BEGINNING.fullmatch(guide.regex or ""))


class Verdict(msgspec.Struct, frozen=True):
    """Whether a guide compiles."""

    problem: str
    """Why it does not; empty when it does."""


@contextmanager
def limited() -> Iterator[None]:
    """End this process if what is within takes more of the processor's time than a guide may."""
    signal.setitimer(signal.ITIMER_PROF, _COMPILE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def answer(verdict: Callable[[Guide], Verdict]) -> None:
    """Be the process: answer each guide from standard input, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        said = verdict(msgspec.json.decode(line, type=Guide))
        sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
        sys.stdout.buffer.flush()


def reason(text: str) -> str:
    """Return what XGrammar's error says of the guide; not what it says of its own code."""
    said = text.strip().splitlines()[0].rpartition(".cc:")[2].partition(": ")[2]
    is_of_its_own = not said or "Check failed" in said or said.startswith("EBNF")
    return "does not compile" if is_of_its_own else said


NO_GUIDE = Guide(regex="a")
"""The least there is to try."""
_TOO_LONG = Verdict(f"takes longer than {_COMPILE_S:g} s to compile")
_FATAL = Verdict("does not compile")


@dataclass(slots=True, eq=False)
class CrowdedError(Exception):
    """Too many guides are being tried already."""

    retry_after_s: float


@dataclass(slots=True)
class GuideChecker:
    """Asks the process, which is started for the first guide, and a spare one with it."""

    command: Sequence[str]
    _process: Process | None = None
    _spare: asyncio.Task[Process] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _asked: dict[Guide, asyncio.Task[Verdict]] = field(
        default_factory=dict[Guide, asyncio.Task[Verdict]]
    )
    _verdicts: OrderedDict[Guide, Verdict] = field(default_factory=OrderedDict[Guide, Verdict])
    _mean_s: float = _FIRST_GUESS_S
    """How long a guide takes of late."""
    _began_s: float = 0.0
    """When the one that is being tried was begun, on the monotonic clock."""

    @property
    def wait_s(self) -> float:
        """How long those that are asked for take, by the pace of late and of now."""
        now_s = time.monotonic() - self._began_s if self._turn.locked() else 0.0
        return max(1, len(self._asked)) * max(self._mean_s, now_s, _LEAST_S)

    def known(self, guide: Guide) -> Verdict | None:
        """Return the verdict that is remembered, if one is."""
        verdict = self._verdicts.get(guide)
        if verdict is not None:
            self._verdicts.move_to_end(guide)
        return verdict

    async def problem(self, guide: Guide) -> str:
        """Return why the guide does not compile; empty when it does.

        Whoever leaves, the guide is tried to the end.

        Raises:
            CrowdedError: too many others are before it, or it is not its fault that it takes long.
            ConnectionError: the process cannot be started, or this is closed.
        """
        verdict = self.known(guide)
        if verdict is not None:
            return verdict.problem
        if guide not in self._asked:
            if len(self._asked) >= _MAX_ASKED:
                raise CrowdedError(self.wait_s)
            self._asked[guide] = asyncio.create_task(self._ask(guide))
            self._asked[guide].add_done_callback(lambda asked: self._answered(guide, asked))
        asked = self._asked[guide]
        await asyncio.wait([asked])
        if asked.cancelled():
            raise ConnectionError("no more guides are tried")
        return asked.result().problem

    async def close(self) -> None:
        """End the processes."""
        tasks = list(self._asked.values())
        process, self._process = self._process, None
        spare, self._spare = self._spare, None
        for task in (*tasks, *([spare] if spare is not None else [])):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if spare is not None:
            await asyncio.wait([spare])
            if not spare.cancelled() and spare.exception() is None:
                await _end(spare.result())
        if process is not None:
            await _end(process)

    async def _ask(self, guide: Guide) -> Verdict:
        try:
            await asyncio.wait_for(self._turn.acquire(), _TURN_S)
        except TimeoutError:
            raise CrowdedError(self.wait_s) from None
        self._began_s = time.monotonic()
        try:
            verdict = await self._tried(guide)
        finally:
            self._turn.release()
            self._mean_s += _WEIGHT_OF_NEWEST * (time.monotonic() - self._began_s - self._mean_s)
        self._verdicts[guide] = verdict
        if len(self._verdicts) > _REMEMBERED:
            self._verdicts.popitem(last=False)
        return verdict

    def _answered(self, guide: Guide, asked: asyncio.Task[Verdict]) -> None:
        self._asked.pop(guide, None)
        if not asked.cancelled():
            # Whoever would hear of it may have left.
            asked.exception()

    async def _tried(self, guide: Guide) -> Verdict:
        if self._process is None or self._process.returncode is not None:
            self._process = await self._next()
        process = self._process
        verdict = await _exchange(process, guide, _ANSWER_S)
        if verdict is not None:
            return verdict
        self._process = None
        match await _end(process):
            case code if code == -signal.SIGPROF:
                return _TOO_LONG
            case code if code == -signal.SIGKILL:
                # It was ended here or, for want of memory, by the kernel.
                raise CrowdedError(self.wait_s)
            case _:
                return _FATAL

    async def _next(self) -> Process:
        """Return the spare process, and start another."""
        spare, self._spare = self._spare, None
        process = await spare if spare is not None and _serves(spare) else await self._started()
        self._spare = asyncio.create_task(self._started())
        return process

    async def _started(self) -> Process:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command, stdin=PIPE, stdout=PIPE, cwd=_PROJECT, limit=_LINE_BYTES
            )
        except OSError as error:
            raise ConnectionError("the process that compiles guides cannot be started") from error
        verdict = None
        try:
            # Loading takes longer than compiling may.
            verdict = await _exchange(process, NO_GUIDE, _START_S)
        finally:
            if verdict is None:
                await _end(process)
        if verdict is None:
            raise ConnectionError("the process that compiles guides cannot be started")
        return process


def _serves(spare: asyncio.Task[Process]) -> bool:
    """Tell whether a process that is started ahead has not failed so far."""
    if not spare.done():
        return True
    return spare.exception() is None and spare.result().returncode is None


async def _exchange(process: Process, guide: Guide, limit_s: float) -> Verdict | None:
    """Send a guide and return its verdict; None if none came."""
    line = b""
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(limit_s):
            if process.stdin is not None and process.stdout is not None:
                process.stdin.write(msgspec.json.encode(guide) + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
    return msgspec.json.decode(line, type=Verdict) if line else None


async def _end(process: Process) -> int:
    """End a process, if it has not ended, and return how it did."""
    if process.stdout is not None and process.stdout.at_eof():
        with suppress(TimeoutError):
            # To kill what is ending by itself would take its exit status from whoever waits for it.
            return await asyncio.wait_for(process.wait(), _END_S)
    with suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    return await process.wait()
