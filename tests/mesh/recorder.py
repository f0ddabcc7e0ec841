"""Stands between a client and a server, passes every byte on, and keeps those of the client."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Recorder:
    """What has been sent to the server."""

    port: int
    received: bytearray = field(default_factory=bytearray)


@contextmanager
def recording(server_port: int) -> Iterator[Recorder]:
    """Pass connections on to a port of this machine, for as long as the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    recorder = Recorder(listener.getsockname()[1])
    ends: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", server_port))
                ends.extend((client, server))
                _run(_pass_on, client, server, recorder.received)
                _run(_pass_on, server, client, bytearray())

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield recorder
    finally:
        # A thread that waits for a connection is not woken by a close alone.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for end in ends:
            end.close()


def _run(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with source, sink, suppress(OSError):
        while piece := source.recv(65536):
            kept += piece
            sink.sendall(piece)
