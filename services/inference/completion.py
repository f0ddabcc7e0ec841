"""What the engine says, in the words of the mesh."""

import time
from collections.abc import Iterator, Sequence

from google.protobuf.duration_pb2 import Duration

from catenary.v1 import decision_pb2, message_pb2, models_pb2
from catenary.v1 import generation_pb2 as pb
from infra.triton.vocabulary import Vocabulary
from services import errors
from services.inference.triton import Piece

_FINISH_REASONS = {
    "stop": message_pb2.FINISH_REASON_STOP,
    "length": message_pb2.FINISH_REASON_LENGTH,
}


class Completion:
    """One generation, from the engine's pieces to events."""

    def __init__(
        self,
        request: pb.GenerateRequest,
        card: models_pb2.Model,
        vocabulary: Vocabulary,
        input_tokens: int,
        arrived: float,
    ) -> None:
        self._card = card
        self._vocabulary = vocabulary
        self._arrived = arrived
        self._first_token_s: float | None = None
        self._usage = message_pb2.Usage(input_tokens=input_tokens)
        self._choices: list[pb.ChoiceFinish] = []
        self._timings: Sequence[int] | None = None
        self._expected = max(1, request.sampling.n)

    def read(self, piece: Piece) -> Iterator[pb.GenerateResponse]:
        """Give the delta that a piece holds, if it holds one."""
        if self._first_token_s is None and piece.token_ids:
            self._first_token_s = time.monotonic() - self._arrived
        self._usage.output_tokens += len(piece.token_ids)
        if piece.finish_reason:
            self._choices.append(
                pb.ChoiceFinish(
                    choice=piece.choice,
                    finish_reason=_FINISH_REASONS[piece.finish_reason],
                    stop=piece.matched_stop,
                )
            )
        self._timings = piece.timings or self._timings
        if piece.text or piece.token_ids:
            yield pb.GenerateResponse(
                delta=pb.Delta(
                    choice=piece.choice,
                    text=piece.text,
                    logprobs=self._logprobs(piece),
                    output_tokens=len(piece.token_ids),
                )
            )

    def end(self) -> Iterator[pb.GenerateResponse]:
        """Give the decision and `finished`.

        Raises:
            MeshError: STREAM_BROKEN when a choice has not ended.
        """
        if len(self._choices) < self._expected or self._timings is None:
            raise errors.stream_broken("triton")
        yield pb.GenerateResponse(decision=decision_pb2.Decision(inference=self._decision()))
        yield pb.GenerateResponse(
            finished=pb.Finished(
                choices=sorted(self._choices, key=lambda finish: finish.choice),
                usage=self._usage,
                served_model=self._card.name,
            )
        )

    def _decision(self) -> decision_pb2.InferenceDecision:
        queue_ns, prefill_ns, decode_ns = self._timings or (0, 0, 0)
        return decision_pb2.InferenceDecision(
            model=self._card.name,
            engine=self._card.engine,
            queue_time=_duration(queue_ns),
            time_to_first_token=_duration(int((self._first_token_s or 0) * 1e9)),
            input_tokens=self._usage.input_tokens,
            output_tokens=self._usage.output_tokens,
            prefill_time=_duration(prefill_ns),
            decode_time=_duration(decode_ns),
        )

    def _logprobs(self, piece: Piece) -> list[pb.TokenLogprob]:
        entries = []
        for token, logprob in zip(piece.token_ids, piece.logprobs, strict=False):
            data = self._vocabulary.tokens[token]
            try:
                text = data.decode()
            except UnicodeDecodeError:
                text = ""
            entries.append(pb.TokenLogprob(token=text, token_bytes=data, logprob=logprob))
        return entries


def _duration(nanoseconds: int) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(nanoseconds)
    return duration
