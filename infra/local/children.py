"""The processes that a part has started itself, watched for the end of one that it needs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_POLL_S = 0.5

Command = Sequence[str]
Needs = Callable[[Command, Sequence[Command]], Awaitable[bool]]
"""Tells whether a part needs a child that has ended, given the commands of those that still run."""


class Child(NamedTuple):
    """A process that another one has started."""

    pid: int
    started: str
    """Tells it from another process that has come to its number."""
    name: str


async def lost(pid: int, known: Mapping[Child, Command], needs: Needs) -> str:
    """Wait until a process has lost a child that it needs, and return that in words.

    Children may come and go; `known` are those that there were.
    """
    while True:
        now = await running(pid)
        for child in known.keys() - now.keys():
            if await needs(known[child], list(now.values())):
                return f"lost its process {child.name}"
        known = now
        await asyncio.sleep(_POLL_S)


async def running(pid: int) -> Mapping[Child, Command]:
    """Return a process's children that run, with their commands."""
    return await asyncio.to_thread(_running, pid)


def _running(pid: int) -> Mapping[Child, Command]:
    children = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text(encoding="utf-8")
            # `12 (name) S 1 …`: the name may hold anything; then the state, the parent, and, 20th
            # of these, the start.
            number_and_name, _, rest = stat.rpartition(")")
            fields = rest.split()
            if int(fields[1]) != pid or fields[0] == "Z":
                continue
            command = (entry / "cmdline").read_text(encoding="utf-8").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        name = number_and_name.partition("(")[2]
        children[Child(int(entry.name), fields[19], name)] = command
    return children
