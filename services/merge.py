"""Merges the deltas that pile up while a reader is slow, so that a hop sends fewer messages.

Nothing waits in order to be merged: what is there when the writer is free leaves at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from catenary.v1 import generation_pb2 as pb
from services.link import Events

_MAX_PENDING_BYTES = 64 * 1024
"""How much is read ahead of the writer; then the stream is no longer pulled.

Not a number of events: each may be many merged by the hop before, so that every hop would multiply.
"""

_SLOW_S = 0.01
"""A write that takes longer waits for its reader, and not for the machine alone."""

Write = Callable[[pb.GenerateResponse], Awaitable[None]]


async def write_merged(events: Events, write: Write) -> None:
    """Write every event in order, those that lie together in one message; close the stream.

    Reading ahead of the writer takes a task, which costs a quick reader 0.2 ms: it begins when a
    write shows that the reader is slow.

    Raises:
        MeshError: the stream failed; all that it gave before has been written.
    """
    async with aclosing(events):
        async for event in events:
            began = time.perf_counter()
            await write(event)
            if time.perf_counter() - began > _SLOW_S:
                await _write_behind(events, write)
                return


async def _write_behind(events: Events, write: Write) -> None:
    pending = _Pending()
    readable, writable = asyncio.Event(), asyncio.Event()
    writable.set()

    async def read() -> None:
        try:
            async for event in events:
                pending.append(event)
                readable.set()
                if pending.size_bytes >= _MAX_PENDING_BYTES:
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
                await write(pending.take())
                writable.set()
        await reader
    finally:
        reader.cancel()
        # Also takes up what a reader has raised that failed while the writer did.
        await asyncio.gather(reader, return_exceptions=True)


class _Pending:
    """Events that have been read and not yet written."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._events: deque[pb.GenerateResponse] = deque()

    def __bool__(self) -> bool:
        return bool(self._events)

    def append(self, event: pb.GenerateResponse) -> None:
        self._events.append(event)
        self.size_bytes += event.ByteSize()

    def take(self) -> pb.GenerateResponse:
        """Take the next event, merged with the deltas of the same choice right behind it."""
        event = self._pop()
        pieces, has_text = [event.delta], bool(event.delta.text)
        while event.HasField("delta") and self._continues(event.delta.choice, has_text=has_text):
            pieces.append(self._pop().delta)
            has_text = has_text or bool(pieces[-1].text)
        return event if len(pieces) == 1 else pb.GenerateResponse(delta=_merged(pieces))

    def _pop(self) -> pb.GenerateResponse:
        event = self._events.popleft()
        self.size_bytes -= event.ByteSize()
        return event

    def _continues(self, choice: int, *, has_text: bool) -> bool:
        if not self._events or not self._events[0].HasField("delta"):
            return False
        following = self._events[0].delta
        # Thought that follows text would move before it in one message.
        return following.choice == choice and not (has_text and following.reasoning)


def _merged(pieces: Sequence[pb.Delta]) -> pb.Delta:
    merged = pb.Delta(
        choice=pieces[0].choice,
        text="".join(piece.text for piece in pieces),
        reasoning="".join(piece.reasoning for piece in pieces),
        output_tokens=sum(piece.output_tokens for piece in pieces),
    )
    for piece in pieces:
        merged.tool_calls.extend(piece.tool_calls)
        merged.logprobs.extend(piece.logprobs)
    return merged
