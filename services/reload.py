"""Follows a file: what it says is taken over when it changes, as a whole or not at all."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

from services.config import ConfigError

logger = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")

_POLL_S = 1.0

GONE = "it can no longer be read"
"""What is said of a file that there was."""


class Snapshot(NamedTuple):
    """A file at one time. Its date counts too: to touch a file is to ask for another try."""

    modified_ns: int
    content: bytes


def snapshot(file: Path) -> Snapshot | None:
    """Return the file as it is now; None while it cannot be read."""
    try:
        return Snapshot(file.stat().st_mtime_ns, file.read_bytes())
    except OSError:
        return None


async def follow(
    file: Path,
    taken: Snapshot | None,
    load: Callable[[], Loaded],
    take: Callable[[Loaded], None],
    refuse: Callable[[ConfigError], None],
    *,
    poll_s: float = _POLL_S,
) -> NoReturn:
    """Take over what the file says whenever it has changed, until cancelled.

    A file that cannot be used, or is there no more, is told in one line of the log, and what was
    taken last stays.

    Args:
        file: what is looked at.
        taken: the file as it was when it was read first.
        load: reads and validates the file, in a thread; raises ConfigError when it is no good.
        take: takes over what was loaded.
        refuse: is told why the file is no good.
        poll_s: how often the file is looked at; it must rest so long before it is read.
    """
    seen = taken
    while True:
        await asyncio.sleep(poll_s)
        now = await asyncio.to_thread(snapshot, file)
        is_at_rest, seen = now == seen, now
        if now == taken or not is_at_rest:
            continue
        taken = now
        try:
            loaded = await asyncio.to_thread(_loaded, load, file, now)
        except ConfigError as error:
            logger.error("configuration refused", extra={"problem": str(error)})  # noqa: TRY400
            refuse(error)
        else:
            take(loaded)
            logger.info("configuration taken over", extra={"file": str(file)})


def _loaded(load: Callable[[], Loaded], file: Path, now: Snapshot | None) -> Loaded:
    if now is None:
        raise ConfigError(file, 0, "", GONE)
    return load()
