"""Tries guides before the engine sees them, in a process of their own.

Compiling a guide may fail, which would break the engine, and a malicious one takes for ever.
"""

import asyncio
import contextlib
import re
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from infra.engine.engine import Generation

_PROJECT = Path(__file__).resolve().parents[2]
_START_S = 30.0
_COMPILE_S = 1.0
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
    return said if said and "Check failed" not in said else "does not compile"


_NO_GUIDE = Guide(regex="a")
_TOO_LONG = Verdict(f"takes longer than {_COMPILE_S:g} s to compile")


@dataclass(slots=True)
class GuideChecker:
    """Asks the process, which is started for the first guide, and again after one that it lost."""

    command: Sequence[str]
    _process: asyncio.subprocess.Process | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _verdicts: OrderedDict[Guide, Verdict] = field(default_factory=OrderedDict[Guide, Verdict])

    async def problem(self, guide: Guide) -> str:
        """Return why the guide does not compile; empty when it does.

        Raises:
            ConnectionError: the process cannot be started.
        """
        async with self._turn:
            verdict = self._verdicts.pop(guide, None) or await self._ask(guide)
            self._verdicts[guide] = verdict
            if len(self._verdicts) > _REMEMBERED:
                self._verdicts.popitem(last=False)
            return verdict.problem

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, guide: Guide) -> Verdict:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=_PROJECT,
                limit=_LINE_BYTES,
            )
            # Loading takes longer than compiling may.
            if await self._exchange(self._process, _NO_GUIDE, _START_S) is None:
                raise ConnectionError("the process that compiles guides cannot be started")
        return await self._exchange(self._process, guide, _COMPILE_S) or _TOO_LONG

    async def _exchange(
        self, process: asyncio.subprocess.Process, guide: Guide, limit_s: float
    ) -> Verdict | None:
        """Send a guide and return its verdict; None, and no process any more, if none came."""
        line = b""
        try:
            async with asyncio.timeout(limit_s):
                if process.stdin is not None and process.stdout is not None:
                    process.stdin.write(msgspec.json.encode(guide) + b"\n")
                    await process.stdin.drain()
                    line = await process.stdout.readline()
        except (TimeoutError, ConnectionError):
            line = b""
        finally:
            if not line:
                await self.close()
        return msgspec.json.decode(line, type=Verdict) if line else None
