"""The choices of a request: each is a stream of its own, and they are read together.

Choice i is drawn with seed + i, as by our own engine, whatever an engine does when it is asked for
several sequences: NVIDIA's models differ in it, and lose track of whose text is whose.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from services.inference.engine import Piece


async def together(
    streams: Sequence[AsyncGenerator[Piece, None]],
) -> AsyncGenerator[Piece, None]:
    """Give the pieces of all streams as they come, one read ahead of each; close all at the end.

    Raises:
        MeshError: one of the streams failed.
    """
    reading = {asyncio.create_task(_next(stream)): stream for stream in streams}
    try:
        while reading:
            done, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                stream = reading.pop(task)
                piece = task.result()
                if piece is not None:
                    reading[asyncio.create_task(_next(stream))] = stream
                    yield piece
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


async def _next(stream: AsyncGenerator[Piece, None]) -> Piece | None:
    return await anext(stream, None)
