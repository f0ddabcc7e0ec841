"""What the Triton model and the engine's process say to each other, over a socket between them.

Each frame is a length of four bytes and a msgpack value. All instants are of CLOCK_MONOTONIC, which
the processes of one machine share.
"""

import struct
from typing import NamedTuple

import msgspec

from infra.engine.engine import FinishReason, Generation, KvCache, Rivals
from infra.engine.failure import Failure

LENGTH = struct.Struct("<I")


class Start(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """Begin a generation."""

    id: int
    generation: Generation


class Cancel(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """Stop a generation; it is answered with its `End`."""

    id: int


class Stop(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """End the process, as intended."""


class Piece(msgspec.Struct, array_like=True, frozen=True):
    """What is new of one choice."""

    choice: int
    text: str
    token_ids: list[int]
    logprobs: list[float]
    finish_reason: FinishReason | None
    matched_stop: str
    top_logprobs: list[Rivals] = []
    cached_input_tokens: int = 0


class End(msgspec.Struct, array_like=True, frozen=True):
    """How a generation went."""

    generated_tokens: int
    """All tokens of all choices, also those that nobody was given."""
    first_step_ns: int
    """When the engine began with it; 0 if it never did."""
    first_token_ns: int
    """When its first token came; 0 if none did."""
    last_token_ns: int
    failure: Failure | None


class Timings(NamedTuple):
    """Where the time of a generation went, in nanoseconds."""

    queue_ns: int
    """From arrival to the engine's first step on it."""
    prefill_ns: int
    """From there to the first token."""
    decode_ns: int
    """From there to the last."""


class Update(msgspec.Struct, array_like=True, frozen=True):
    """What is new of one generation."""

    id: int
    pieces: list[Piece]
    end: End | None


class Ready(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """The engine is loaded; the first thing its process says."""

    engine: str
    kv_cache: KvCache


class Broken(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """The engine cannot be loaded; the only thing its process says then."""

    problem: str
    """One line."""


class Work(msgspec.Struct, array_like=True):
    """What the engine has done since it was last told."""

    steps: int = 0
    step_ns: int = 0
    """What the steps took together."""
    sequence_steps: int = 0
    """The sequences of each step, added up."""
    prompt_tokens: int = 0
    """The prompts of the sequences that came in."""
    generated_tokens: int = 0
    kv_cache_usage_ratio: float = 0.0
    """The share of the KV cache in use, now."""


class Updates(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """What is new of all generations that something is new of; sent every second at least."""

    updates: list[Update]
    work: Work


def pack(message: Start | Cancel | Stop | Ready | Broken | Updates) -> bytes:
    """Return a message as a frame."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


to_worker = msgspec.msgpack.Decoder(Start | Cancel | Stop)
to_model = msgspec.msgpack.Decoder(Ready | Broken | Updates)


def unpack(buffer: bytearray) -> list[bytes]:
    """Take the whole frames out of what has been received, and return their bodies."""
    bodies = []
    start = 0
    while len(buffer) - start >= LENGTH.size:
        end = start + LENGTH.size + LENGTH.unpack_from(buffer, start)[0]
        if end > len(buffer):
            break
        bodies.append(bytes(buffer[start + LENGTH.size : end]))
        start = end
    del buffer[:start]
    return bodies
