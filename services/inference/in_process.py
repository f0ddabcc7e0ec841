"""The CPU engine without Triton: in a process of its own, which this one starts and stops."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from infra.engine.failure import Failure
from infra.engine.frames import Piece as EnginePiece
from infra.engine.frames import Timings
from infra.engine.serving import Serving
from infra.engine.vocabulary import Vocabulary
from services import errors
from services.inference import failures
from services.inference.engine import EngineRequest, Piece
from services.inference.features import Refusals
from services.inference.logprobs import token_logprobs
from services.link import Call

logger = logging.getLogger(__name__)

_START_S = 300.0


@dataclass(slots=True)
class InProcessClient:
    """Generates with an engine that the link's own process looks after."""

    model: str
    serving: Serving
    vocabulary: Vocabulary
    refusals: Refusals
    _running: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """What computes."""
        return self.serving.process.engine

    async def open(self) -> None:
        """Start the engine, unless it is started, and return when it is loaded.

        Raises:
            ConnectionError: it cannot be started.
            TimeoutError: it takes too long.
        """
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        async with asyncio.timeout(_START_S):
            await self.serving.process.ready()

    async def generate(self, request: EngineRequest, call: Call) -> AsyncGenerator[Piece, None]:
        """Stream the pieces of one generation; closing the stream frees the engine's place.

        Raises:
            MeshError: the engine refused the request, or failed, or the deadline passed.
        """
        caller = _Caller()
        identity = self.serving.accept(request.generation, caller, call.trace)
        try:
            while True:
                async with asyncio.timeout(call.time_remaining()):
                    await caller.has_news.wait()
                # What comes while a piece is handed on is for the next turn, the end too.
                is_over = caller.is_over
                for piece, timings in caller.take_all():
                    yield self._piece(piece, timings)
                if is_over:
                    break
        except TimeoutError:
            raise errors.deadline_exceeded() from None
        finally:
            self.serving.cancel(identity)
        if caller.failure is not None:
            raise failures.mesh_error(self.model, caller.failure)

    async def close(self) -> None:
        """Stop the engine."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            await self.serving.run()
        except Exception:
            logger.exception("defect: the model serves no more", extra={"model": self.model})
            raise

    def _piece(self, piece: EnginePiece | None, timings: Timings | None) -> Piece:
        if piece is None:
            return Piece()
        return Piece(
            text=piece.text,
            output_tokens=len(piece.token_ids),
            choice=piece.choice,
            logprobs=token_logprobs(
                piece.token_ids, piece.logprobs, self.vocabulary, piece.top_logprobs
            ),
            finish_reason=piece.finish_reason or "",
            matched_stop=piece.matched_stop,
            timings=timings,
            cached_input_tokens=piece.cached_input_tokens,
            load=None if timings is None else self.serving.load(),
        )


@dataclass(slots=True)
class _Caller:
    """One call, and what has been said to it that it has not read.

    A slow reader finds merged what piled up: never more than one piece a choice.
    """

    has_news: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False
    failure: Failure | None = None
    _is_accepted: bool = False
    _unread: dict[int, EnginePiece] = field(default_factory=dict[int, EnginePiece])
    _timings: Timings | None = None

    def accept(self) -> None:
        self._is_accepted = True
        self.has_news.set()

    def take(self, piece: EnginePiece, timings: Timings | None) -> None:
        before = self._unread.get(piece.choice)
        self._unread[piece.choice] = piece if before is None else _merged(before, piece)
        self._timings = timings
        self.is_over = timings is not None
        self.has_news.set()

    def fail(self, failure: Failure) -> None:
        self.failure = failure
        self.is_over = True
        self.has_news.set()

    def take_all(self) -> list[tuple[EnginePiece | None, Timings | None]]:
        """Return what is unread: None for the acceptance; the timings with the last of all."""
        self.has_news.clear()
        news: list[tuple[EnginePiece | None, Timings | None]] = []
        if self._is_accepted:
            self._is_accepted = False
            news.append((None, None))
        pieces, self._unread = list(self._unread.values()), {}
        news += [(piece, None) for piece in pieces[:-1]]
        news += [(piece, self._timings) for piece in pieces[-1:]]
        return news


def _merged(first: EnginePiece, second: EnginePiece) -> EnginePiece:
    return EnginePiece(
        first.choice,
        first.text + second.text,
        first.token_ids + second.token_ids,
        first.logprobs + second.logprobs,
        second.finish_reason,
        second.matched_stop,
        first.top_logprobs + second.top_logprobs,
        first.cached_input_tokens + second.cached_input_tokens,
    )
