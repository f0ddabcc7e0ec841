"""A generation in the engine: what its choices have produced, and what of it has not been sent."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from infra.engine import frames
from infra.engine.engine import FinishReason, Generation, Progress, Rivals
from infra.engine.failure import Failure, Reason
from infra.engine.text import TextStream
from infra.engine.vocabulary import Vocabulary

_FAILURES: dict[FinishReason | None, Failure] = {
    "out_of_memory": Failure(Reason.OUT_OF_MEMORY, "the KV cache is too small for the request"),
    "failed": Failure(Reason.ENGINE_FAILED, "the engine gave the request up", 1.0),
}


@dataclass(slots=True)
class Choice:
    """One choice, from tokens to pieces."""

    index: int
    text: TextStream
    has_stops: bool
    has_logprobs: bool
    has_sent: bool = False
    finish_reason: FinishReason | None = None
    _ready: str = ""
    _undecoded: list[int] = field(default_factory=list[int])
    _token_ids: list[int] = field(default_factory=list[int])
    _logprobs: list[float] = field(default_factory=list[float])
    _top_logprobs: list[Rivals] = field(default_factory=list[Rivals])
    _cached_input_tokens: int = 0

    def take(self, progress: Progress) -> None:
        """Add what a step made."""
        self.finish_reason = progress.finish_reason
        self._undecoded += progress.token_ids
        self._token_ids += progress.token_ids
        self._cached_input_tokens += progress.cached_input_tokens
        if self.has_logprobs:
            self._logprobs += progress.logprobs
            self._top_logprobs += progress.top_logprobs
        if self.has_stops:
            # A stop string must end the sequence now, not when the text is next sent.
            self._decode()
            if self.text.matched_stop:
                self.finish_reason = "stop"

    def piece(self) -> frames.Piece | None:
        """Return what is new; None while there is nothing to show for it."""
        self._decode()
        if self.finish_reason is not None:
            self._ready += self.text.finish()
        elif not (self._ready or self._logprobs):
            return None
        piece = frames.Piece(
            self.index,
            self._ready,
            self._token_ids,
            self._logprobs,
            self.finish_reason,
            self.text.matched_stop,
            self._top_logprobs,
            self._cached_input_tokens,
        )
        self._ready, self._token_ids, self._logprobs, self._top_logprobs = "", [], [], []
        self._cached_input_tokens = 0
        self.has_sent = True
        return piece

    def _decode(self) -> None:
        self._ready += self.text.push(self._undecoded)
        self._undecoded = []


@dataclass(slots=True)
class Running:
    """A generation, with its open choices by the number of their sequence."""

    id: int
    choices: dict[int, Choice]
    generated_tokens: int = 0
    first_step_ns: int = 0
    first_token_ns: int = 0
    last_token_ns: int = 0

    @classmethod
    def begin(
        cls, identity: int, generation: Generation, sequences: Iterable[int], words: Vocabulary
    ) -> "Running":
        """Open the choices of a generation."""
        choices = {
            sequence: Choice(
                index,
                TextStream(words, generation.stop),
                has_stops=bool(generation.stop),
                has_logprobs=bool(generation.logprobs),
            )
            for index, sequence in enumerate(sequences)
        }
        return cls(identity, choices)

    def take(self, progress: Progress, now_ns: int) -> Choice:
        """Add what a step made, and return the choice that it was made for."""
        choice = self.choices[progress.sequence]
        self.generated_tokens += len(progress.token_ids)
        self.first_token_ns = self.first_token_ns or now_ns
        self.last_token_ns = now_ns
        choice.take(progress)
        return choice

    def update(self) -> frames.Update | None:
        """Return what is new, and forget the choices that have ended; None when nothing is new."""
        for choice in self.choices.values():
            if choice.finish_reason in _FAILURES:
                return self.failed(_FAILURES[choice.finish_reason])
        pieces = []
        for sequence, choice in list(self.choices.items()):
            piece = choice.piece()
            if piece is not None:
                pieces.append(piece)
            if choice.finish_reason is not None:
                del self.choices[sequence]
        if not self.choices:
            return frames.Update(self.id, pieces, self._end(None))
        return frames.Update(self.id, pieces, None) if pieces else None

    def failed(self, failure: Failure) -> frames.Update:
        """Return the end of a generation that is given up."""
        return frames.Update(self.id, [], self._end(failure))

    def _end(self, failure: Failure | None) -> frames.End:
        return frames.End(
            self.generated_tokens,
            self.first_step_ns,
            self.first_token_ns,
            self.last_token_ns,
            failure,
        )
