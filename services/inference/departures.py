"""The versions of a model that take no more calls, until their last call has ended."""

import asyncio
import logging
from collections.abc import Callable

from services.errors import MeshError
from services.inference.version import Host, Version

logger = logging.getLogger(__name__)

_LONGEST_S = 24 * 3600.0
"""The longest that a call may take; see `default_deadline` of the gateway."""


class Departures:
    """Gives up each version once it is idle, unless it is taken back before that."""

    def __init__(self, host: Host, linger_s: float, ended: Callable[[], None]) -> None:
        """Call `ended` whenever a version has been given up."""
        self._host = host
        self._linger_s = linger_s
        self._ended = ended
        self._tasks: dict[Version, asyncio.Task[None]] = {}
        self._given_up: set[Version] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, version: Version) -> None:
        """Have a version leave: no more calls go to it."""
        self._tasks[version] = asyncio.create_task(self._leave(version))

    def take_back(self, number: int) -> Version | None:
        """Return a version that has begun to leave, to serve again; None when none still can."""
        for version in self._tasks.keys() - self._given_up:
            if version.config.version == number:
                self._tasks.pop(version).cancel()
                return version
        return None

    def has(self, number: int) -> bool:
        """Tell whether a version is not gone yet."""
        return any(version.config.version == number for version in self._tasks)

    async def close(self) -> None:
        """Close what is open here; what runs elsewhere goes on, for others."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for version in self._tasks:
            await version.backend.close()

    async def _leave(self, version: Version) -> None:
        line = {"model": version.config.name, "version": version.config.version}
        try:
            async with asyncio.timeout(_LONGEST_S):
                await asyncio.sleep(self._linger_s)
                await version.idle()
        except TimeoutError:
            logger.error("calls never end", extra=line)  # noqa: TRY400
        self._given_up.add(version)
        try:
            await self._host.give_up(version.config, version.backend)
        except MeshError as error:
            logger.error("model not unloaded", extra={**line, "problem": error.message})  # noqa: TRY400
        except Exception:
            logger.exception("defect", extra=line)
        else:
            logger.info("model left", extra=line)
        self._given_up.discard(version)
        del self._tasks[version]
        self._ended()
