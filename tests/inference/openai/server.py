"""A server with OpenAI's API that answers byte for byte what a test says, and sees all it is sent.

It stands for what cannot run here, and for failures that no server shows when asked to.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Step = bytes | asyncio.Event
"""Bytes to send, as they are, or an event to wait for."""

LAST_CHUNK = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


@dataclass(eq=False)
class Exchange:
    """One request, and what became of its connection."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    connection: int
    """Which of the connections it came over."""
    client_left: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class FakeServer:
    """Answers each request with the next script; the last one serves for all that follow."""

    port: int = 0
    scripts: list[Sequence[Step]] = field(default_factory=list[Sequence[Step]])
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with each request."""
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def will(self, *steps: Step) -> None:
        """Play these steps as the next answer; the connection is closed after them."""
        self.scripts.append(steps)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._play(reader, writer, self.connections)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _play(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        while True:
            exchange = await _read(reader, connection)
            self.exchanges.append(exchange)
            self.arrived.set()
            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            gone = asyncio.create_task(_watch(reader, exchange))
            try:
                for step in script:
                    if isinstance(step, bytes):
                        writer.write(step)
                        await writer.drain()
                    else:
                        waiting = asyncio.create_task(step.wait())
                        await asyncio.wait({waiting, gone}, return_when="FIRST_COMPLETED")
                        waiting.cancel()
                    if exchange.client_left.is_set():
                        return
            except ConnectionError:
                exchange.client_left.set()
                raise
            finally:
                gone.cancel()
                with suppress(asyncio.CancelledError):
                    await gone
            end = script[-1] if script else b""
            if not isinstance(end, bytes) or not end.endswith(LAST_CHUNK):
                return


async def _watch(reader: asyncio.StreamReader, exchange: Exchange) -> None:
    """Tell when the client closes the connection, without eating its next request."""
    while not reader.at_eof() and reader.exception() is None:
        await reader._wait_for_data("watch")  # type: ignore[attr-defined]
    exchange.client_left.set()


async def _read(reader: asyncio.StreamReader, connection: int) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, _ = head[0].split(" ")
    return Exchange(method, path, headers, json.loads(body) if body else None, connection)


@asynccontextmanager
async def fake_server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(fake.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def answer(status: int, body: Any = b"", **headers: str) -> bytes:
    """Write a whole answer, after which the connection closes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += ["Content-Type: application/json", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + data


HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def piece(data: bytes) -> bytes:
    """Write a piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(value: Any) -> bytes:
    """Write an event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def stream(*values: Any, done: bool = True) -> list[bytes]:
    """Write a whole stream of chunks."""
    data = [piece(event(value)) for value in values]
    return [HEAD, *data, *([piece(DONE)] if done else []), LAST_CHUNK]


def chunk(
    delta: Mapping[str, Any] | None = None,
    finish_reason: str | None = None,
    index: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """Return a chunk with one choice."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish_reason} | more
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice]}


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """Return a chunk with nothing but the usage."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


def said(text: str) -> list[bytes]:
    """Write a stream that says a text."""
    return stream(chunk({"content": text}), chunk(finish_reason="stop"), usage(3, 1))
