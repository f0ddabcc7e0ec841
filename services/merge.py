"""Merges the deltas that pile up while a reader is slow, so that a hop sends fewer messages.

Nothing waits in order to be merged: what is there when the writer is free leaves at once.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from catenary.v1 import generation_pb2 as pb
from services.link import Events

_MAX_PENDING = 64
"""How many events are read ahead of the writer; then the stream is no longer pulled."""

Write = Callable[[pb.GenerateResponse], Awaitable[None]]


async def write_merged(events: Events, write: Write) -> None:
    """Write every event in order, deltas that lie together in one message; close the stream.

    Raises:
        MeshError: the stream failed; all that it gave before has been written.
    """
    pending: deque[pb.GenerateResponse] = deque()
    readable, writable = asyncio.Event(), asyncio.Event()
    writable.set()

    async def read() -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    pending.append(event)
                    readable.set()
                    if len(pending) >= _MAX_PENDING:
                        writable.clear()
                        await writable.wait()
        finally:
            readable.set()

    reader = asyncio.create_task(read())
    try:
        while not reader.done() or pending:
            if not pending:
                readable.clear()
                await readable.wait()
            while pending:
                await write(_next(pending))
                writable.set()
        await reader
    finally:
        if not reader.done():
            reader.cancel()
            await asyncio.wait([reader])


def _next(pending: deque[pb.GenerateResponse]) -> pb.GenerateResponse:
    """Take the next event, merged with the deltas of the same choice right behind it."""
    event = pending.popleft()
    if not event.HasField("delta") or not pending or not _continues(event.delta, pending[0]):
        return event
    merged = pb.GenerateResponse()
    merged.CopyFrom(event)
    texts, thoughts = [event.delta.text], [event.delta.reasoning]
    while pending and _continues(event.delta, pending[0]):
        delta = pending.popleft().delta
        texts.append(delta.text)
        thoughts.append(delta.reasoning)
        merged.delta.tool_calls.extend(delta.tool_calls)
        merged.delta.logprobs.extend(delta.logprobs)
        merged.delta.output_tokens += delta.output_tokens
    merged.delta.text, merged.delta.reasoning = "".join(texts), "".join(thoughts)
    return merged


def _continues(delta: pb.Delta, event: pb.GenerateResponse) -> bool:
    # Thought that follows text would move before it in one message.
    return (
        event.HasField("delta")
        and event.delta.choice == delta.choice
        and bool(event.delta.reasoning) == bool(delta.reasoning)
    )
