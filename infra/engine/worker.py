"""The engine's own process: takes generations from a socket, steps the engine, sends text back.

It ends when it is told to, or when its engine fails: whoever started it starts a new one. When the
other end of the socket goes without a word, it takes Triton down: that is how Triton's Python stub
dies, and Triton 2.51 neither ends the stub's streams nor starts another, and calls itself ready.
When Triton goes, it takes the stub down: that may wait for Triton and hold on to its GIL.
"""

import argparse
import contextlib
import itertools
import json
import os
import select
import signal
import socket
import threading
import time
from pathlib import Path

from infra.engine import frames
from infra.engine.command import EngineName
from infra.engine.engine import Engine, Generation
from infra.engine.failure import Failure, Reason
from infra.engine.running import Running
from infra.engine.vocabulary import Vocabulary

_RECEIVE_BYTES = 1 << 20
_MAX_PROBLEM_CHARACTERS = 300
_HEARTBEAT_S = 1.0
"""The other end hears as often that the engine is not stuck."""
_CANCELLED = Failure(Reason.CANCELLED, "the caller has left")


class Worker:
    """Drives an engine for the other end of a socket."""

    def __init__(
        self, engine: Engine, vocabulary: Vocabulary, peer: socket.socket, interval_s: float
    ) -> None:
        self._engine = engine
        self._vocabulary = vocabulary
        self._peer = peer
        self._interval_s = interval_s
        self._inbox = bytearray()
        self._outbox = bytearray(frames.pack(frames.Ready(engine.name, engine.kv_cache())))
        self._work = frames.Work()
        self._next_heartbeat = 0.0
        self._running: dict[int, Running] = {}
        self._by_sequence: dict[int, Running] = {}
        self._sequences = itertools.count()
        self._unsent: dict[int, Running] = {}
        self._next_flush = 0.0
        self._is_stopped = False

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            ConnectionError: the other end is gone.
        """
        self._peer.settimeout(0)
        while not self._is_stopped:
            self._exchange()
            if self._by_sequence:
                self._step()
            self._flush_if_due()
            self._beat_if_due()

    def _exchange(self) -> None:
        """Send and receive what can be; wait for it only when the engine has nothing to do."""
        wait_s = 0.0 if self._by_sequence or (self._unsent and not self._outbox) else _HEARTBEAT_S
        readable, writable, _ = select.select(
            [self._peer], [self._peer] if self._outbox else [], [], wait_s
        )
        if writable:
            del self._outbox[: self._peer.send(self._outbox)]
        if readable:
            data = self._peer.recv(_RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError
            self._inbox += data
            for body in frames.unpack(self._inbox):
                self._obey(frames.to_worker.decode(body))

    def _obey(self, message: frames.Start | frames.Cancel | frames.Stop) -> None:
        if isinstance(message, frames.Stop):
            self._is_stopped = True
        elif isinstance(message, frames.Start):
            self._start(message.id, message.generation)
        elif message.id in self._running:
            running = self._running.pop(message.id)
            self._release(running)
            self._unsent.pop(message.id, None)
            self._post([running.failed(_CANCELLED)])

    def _start(self, identity: int, generation: Generation) -> None:
        sequences = list(itertools.islice(self._sequences, generation.n))
        running = Running.begin(identity, generation, sequences, self._vocabulary)
        try:
            for index, sequence in enumerate(sequences):
                self._engine.submit(sequence, generation, index)
                self._by_sequence[sequence] = running
        except ValueError as error:
            self._release(running)
            self._post([running.failed(Failure(Reason.INVALID, str(error)))])
        else:
            self._running[identity] = running
            self._work.prompt_tokens += len(generation.input_ids) * generation.n

    def _step(self) -> None:
        now_ns = time.monotonic_ns()
        for running in self._running.values():
            running.first_step_ns = running.first_step_ns or now_ns
        self._work.steps += 1
        self._work.sequence_steps += len(self._by_sequence)
        progress = self._engine.step()
        self._work.step_ns += time.monotonic_ns() - now_ns
        now_ns = time.monotonic_ns()
        urgent = []
        for made in progress:
            self._work.generated_tokens += len(made.token_ids)
            running = self._by_sequence[made.sequence]
            choice = running.take(made, now_ns)
            self._unsent[running.id] = running
            if choice.finish_reason is not None:
                del self._by_sequence[made.sequence]
                if made.finish_reason is None:
                    self._engine.cancel(made.sequence)
            if choice.finish_reason is not None or not choice.has_sent:
                urgent.append(running.id)
        if urgent:
            self._flush(urgent)

    def _flush_if_due(self) -> None:
        now = time.monotonic()
        if self._unsent and (now >= self._next_flush or not self._by_sequence):
            # With many streams tokens pile up longer than the interval.
            self._next_flush = now + max(
                self._interval_s, len(self._running) / self._engine.messages_per_s
            )
            self._flush(list(self._unsent))

    def _flush(self, identities: list[int]) -> None:
        if self._outbox:
            # The other end does not keep up: what is new piles up here and is merged.
            return
        updates = []
        for identity in identities:
            running = self._unsent.pop(identity, None)
            update = running.update() if running is not None else None
            if update is not None:
                updates.append(update)
        for update in updates:
            if update.end is not None:
                self._release(self._running.pop(update.id))
        if updates:
            self._post(updates)

    def _post(self, updates: list[frames.Update]) -> None:
        self._next_heartbeat = time.monotonic() + _HEARTBEAT_S
        self._work.kv_cache_usage_ratio = self._engine.kv_cache_usage_ratio()
        self._outbox += frames.pack(frames.Updates(updates, self._work))
        self._work = frames.Work()
        with contextlib.suppress(BlockingIOError):
            del self._outbox[: self._peer.send(self._outbox)]

    def _beat_if_due(self) -> None:
        if time.monotonic() >= self._next_heartbeat and not self._outbox:
            self._post([])

    def _release(self, running: Running) -> None:
        """Free the places of the choices that are still open."""
        for sequence in running.choices:
            if self._by_sequence.pop(sequence, None) is not None:
                self._engine.cancel(sequence)


def main() -> None:
    """Serve one model over the socket that was inherited."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--triton", type=int, help="Triton's process, where it hosts the engine")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--max-sequences", type=int, required=True)
    parser.add_argument("--kv-cache-mib", type=int, required=True)
    parser.add_argument("--stream-interval-ms", type=float, required=True)
    parser.add_argument("--engine", type=EngineName, choices=list(EngineName), required=True)
    parser.add_argument("--engine-args", type=json.loads, required=True, help="a JSON object")
    parser.add_argument("--adapters", type=json.loads, required=True, help="folders, by name")
    given = parser.parse_args()
    # An engine's own processes would hold it open after this one has gone.
    os.set_inheritable(given.socket, False)  # noqa: FBT003 - it takes no keyword
    triton = None if given.triton is None else os.pidfd_open(given.triton)
    if triton is not None:
        watched = (triton, os.pidfd_open(os.getppid()))
        threading.Thread(target=_take_down_with, args=watched, name="triton", daemon=True).start()
    # Ctrl-C reaches the whole group of processes; this one ends when its parent lets go of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    peer = socket.socket(fileno=given.socket)
    try:
        engine = _engine(given)
        vocabulary = Vocabulary.read(given.model / "tokenizer.json")
    except Exception as error:
        # In one line to whoever waits; the rest is for the log.
        peer.sendall(frames.pack(frames.Broken(_last_line(error))))
        raise
    try:
        with contextlib.closing(engine), peer:
            Worker(engine, vocabulary, peer, given.stream_interval_ms / 1000).run()
    except ConnectionError:
        if triton is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(triton, signal.SIGKILL)


def _take_down_with(triton: int, stub: int) -> None:
    """End the stub once Triton has ended; the socket to it tells the worker then."""
    select.select([triton], [], [])
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(stub, signal.SIGKILL)


def _last_line(error: Exception) -> str:
    """Return the line of an engine's error that tells most: OpenVINO's begin with its own files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:_MAX_PROBLEM_CHARACTERS]


def _engine(given: argparse.Namespace) -> Engine:
    # Each engine is an extra, and takes long to import.
    if given.engine is EngineName.TENSORRT_LLM:
        from infra.engine.tensorrt_llm.engine import TensorRtLlmEngine  # noqa: PLC0415

        adapters = {name: Path(folder) for name, folder in given.adapters.items()}
        return TensorRtLlmEngine(given.model, given.max_sequences, given.engine_args, adapters)
    from infra.engine.openvino import OpenVinoEngine  # noqa: PLC0415

    return OpenVinoEngine(given.model, given.max_sequences, given.kv_cache_mib)


if __name__ == "__main__":
    main()
