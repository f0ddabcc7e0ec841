"""A request on its way through the engine, and whoever asked."""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from infra.engine import frames
from infra.engine.engine import Generation
from infra.engine.failure import Failure
from infra.engine.frames import Timings
from infra.engine.spans import Course


class Caller(Protocol):
    """Whoever asked; what is to be said about the generation is said to it."""

    def accept(self) -> None:
        """The engine has taken the request: the first thing said, once."""
        ...

    def take(self, piece: frames.Piece, timings: Timings | None) -> None:
        """Something is new; with `timings` it is the last that is said."""
        ...

    def fail(self, failure: Failure) -> None:
        """The generation is given up: the last that is said."""
        ...


@dataclass(slots=True)
class Call:
    """A request on its way."""

    id: int
    generation: Generation
    caller: Caller
    trace: Mapping[str, str]
    arrived_ns: int
    has_left: bool = False
    sent_tokens: int = 0
    known_tokens: int = 0
    """The tokens sent when the caller was last known to be there."""
    latest_s: float = math.inf
    """The instant of CLOCK_MONOTONIC by which it must begin to be done in time."""
    timer: asyncio.TimerHandle | None = None
    """Ends it when its time is up."""

    def timings(self, end: frames.End) -> Timings:
        """Return where its time went; it has generated something."""
        return Timings(
            end.first_step_ns - self.arrived_ns,
            end.first_token_ns - end.first_step_ns,
            end.last_token_ns - end.first_token_ns,
        )

    def course(self, end: frames.End | None, generated: int, failure: Failure | None) -> Course:
        """Return what a trace shows of it, now that it is over."""
        return Course(
            arrived_ns=self.arrived_ns,
            first_step_ns=end.first_step_ns if end is not None else 0,
            first_token_ns=end.first_token_ns if end is not None else 0,
            last_token_ns=end.last_token_ns if end is not None else 0,
            ended_ns=time.monotonic_ns(),
            input_tokens=len(self.generation.input_ids),
            output_tokens=generated,
            reason=failure.reason if failure is not None else "",
        )
