"""What the engine says, in the words of the mesh."""

import time
from collections.abc import Iterator

import msgspec
from google.protobuf.duration_pb2 import Duration

from catenary.v1 import decision_pb2, message_pb2, models_pb2
from catenary.v1 import generation_pb2 as pb
from infra.engine.frames import Timings
from services import errors
from services.inference.choice import Choice, Read
from services.inference.engine import Piece
from services.inference.features import may_call_several
from services.inference.prompt import Prompt


class Completion:
    """One generation, from the engine's pieces to events; `read` takes its text apart."""

    def __init__(
        self,
        request: pb.GenerateRequest,
        card: models_pb2.Model,
        prompt: Prompt,
        arrived: float,
        read: Read | None,
    ) -> None:
        self._card = card
        self._arrived = arrived
        self._first_token_s: float | None = None
        # The word that the model writes once more is of the prompt, and counts as that.
        input_tokens = len(prompt.token_ids) + prompt.echo_tokens
        self._usage = message_pb2.Usage(input_tokens=input_tokens)
        self._echo_tokens = prompt.echo_tokens
        self._choices = [
            Choice(index, read, may_call_several=may_call_several(request))
            for index in range(max(1, request.sampling.n))
        ]
        self._timings: Timings | None = None

    @property
    def is_cut_off(self) -> bool:
        """The engine goes on, but nothing that it may still say will be told."""
        has_ended = all(choice.finish is not None for choice in self._choices)
        return has_ended and any(choice.is_running for choice in self._choices)

    def read(self, piece: Piece) -> Iterator[pb.GenerateResponse]:
        """Give the delta that a piece holds, if it holds one.

        Raises:
            MeshError: MALFORMED_TOOL_CALL.
        """
        if self._first_token_s is None and piece.output_tokens:
            self._first_token_s = time.monotonic() - self._arrived
        if self._echo_tokens:
            # Only one choice is continued.
            echoed = min(self._echo_tokens, piece.output_tokens)
            self._echo_tokens -= echoed
            piece = msgspec.structs.replace(piece, output_tokens=piece.output_tokens - echoed)
        self._usage.output_tokens += piece.output_tokens
        self._timings = piece.timings or self._timings
        self._usage.cached_input_tokens += piece.cached_input_tokens
        delta = self._choices[piece.choice].read(piece)
        if delta is not None:
            yield pb.GenerateResponse(delta=delta)

    def end(self) -> Iterator[pb.GenerateResponse]:
        """Give the decision and `finished`.

        Raises:
            MeshError: STREAM_BROKEN when a choice has not ended.
        """
        ends = [choice.finish for choice in self._choices if choice.finish is not None]
        if len(ends) < len(self._choices):
            raise errors.stream_broken(self._card.engine)
        self._usage.reasoning_tokens = sum(choice.reasoning_tokens for choice in self._choices)
        yield pb.GenerateResponse(decision=decision_pb2.Decision(inference=self._decision()))
        yield pb.GenerateResponse(
            finished=pb.Finished(
                choices=ends,
                usage=self._usage,
                served_model=self._card.name,
                served_version=self._card.version,
            )
        )

    def _decision(self) -> decision_pb2.InferenceDecision:
        timings = self._timings or Timings(0, 0, 0)
        return decision_pb2.InferenceDecision(
            model=self._card.name,
            engine=self._card.engine,
            queue_time=_duration(timings.queue_ns),
            time_to_first_token=_duration(int((self._first_token_s or 0) * 1e9)),
            input_tokens=self._usage.input_tokens,
            output_tokens=self._usage.output_tokens,
            cached_input_tokens=self._usage.cached_input_tokens,
            prefill_time=_duration(timings.prefill_ns),
            decode_time=_duration(timings.decode_ns),
        )


def _duration(nanoseconds: int) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(nanoseconds)
    return duration
