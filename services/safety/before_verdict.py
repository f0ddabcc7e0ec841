"""Lets a generation run while its prompt is still checked, and holds back what comes of it."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from catenary.v1 import generation_pb2 as pb
from services.link import Events

_MAX_HELD_BYTES = 256 * 1024
"""How much of a completion is held; then no more of it is read before the verdict."""


async def held(events: Events, check: Coroutine[None, None, None]) -> Events:
    """Stream events, none of them before the check is over.

    Whoever calls closes `events`.

    Raises:
        MeshError: what the check raises; the stream is not read on then. Or the stream's own.
    """
    checking = asyncio.ensure_future(check)
    reading: asyncio.Future[pb.GenerateResponse | None] | None = None
    waiting: deque[pb.GenerateResponse] = deque()
    held_bytes = 0
    try:
        while not checking.done() and held_bytes < _MAX_HELD_BYTES:
            reading = reading or asyncio.ensure_future(anext(events, None))
            either: set[asyncio.Future[Any]] = {checking, reading}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            # A stream that ends, or fails, does so behind the verdict.
            if not reading.done() or reading.exception() or (event := reading.result()) is None:
                break
            waiting.append(event)
            held_bytes += event.ByteSize()
            reading = None
        await checking
        while waiting:
            yield waiting.popleft()
        if reading is not None and (event := await reading) is not None:
            yield event
        async for event in events:
            yield event
    finally:
        left = [task for task in (checking, reading) if task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
