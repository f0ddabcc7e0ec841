"""The processes that a part has started itself, watched for their end."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def watched(pid: int, lost: Callable[[str], None]) -> Iterator[None]:
    """Call `lost` with the name of each child that a process has now, once the child ends."""
    loop = asyncio.get_running_loop()

    def ended(handle: int, name: str) -> None:
        loop.remove_reader(handle)
        lost(name)

    with ExitStack() as watches:
        for child, name in _children(pid).items():
            try:
                handle = os.pidfd_open(child)
            except ProcessLookupError:
                lost(name)
                continue
            watches.callback(os.close, handle)
            loop.add_reader(handle, ended, handle, name)
            watches.callback(loop.remove_reader, handle)
        yield


def _children(pid: int) -> dict[int, str]:
    """Return the names of a process's children, by their pid."""
    children = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # `12 (name) S 1 …`: the name may hold anything; after it come the state and the parent.
        number_and_name, _, rest = stat.rpartition(")")
        if int(rest.split()[1]) == pid:
            children[int(entry.name)] = number_and_name.partition("(")[2]
    return children
