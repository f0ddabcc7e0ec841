"""A completion, from a server's events to the contract's."""

import time
from collections.abc import Iterator

from google.protobuf.duration_pb2 import Duration

from catenary.v1 import decision_pb2, message_pb2, models_pb2
from catenary.v1 import generation_pb2 as pb
from services.inference.openai import chunks
from services.inference.openai.choice import Choice
from services.inference.openai.dialect import Dialect
from services.inference.openai.failures import Failures, GarbageError

_DONE = b"[DONE]"
_MOST_TOKENS = 2**32 - 1
_TOKEN_BYTES = 256
"""More than the tokens of an answer have on average, whatever is in it."""
_SLACK_BYTES = 64 * 1024
_UNLIMITED_BYTES = 16 * 1024 * 1024
"""What an answer may have where neither the request nor the card sets a limit."""


class Completion:
    """One generation.

    Usage is the server's. One that tells none is given the tokens that were seen, at one a chunk,
    and no tokens of prompt.
    """

    def __init__(
        self,
        request: pb.GenerateRequest,
        card: models_pb2.Model,
        dialect: Dialect,
        failures: Failures,
        arrived: float,
    ) -> None:
        self._card = card
        self._dialect = dialect
        self._failures = failures
        self._arrived = arrived
        self._first_token_s = 0.0
        self._max_bytes = _max_bytes(request, card.context_window)
        self._usage: message_pb2.Usage | None = None
        self._choices = [
            Choice(index, request.sampling, keeps_stops=dialect.keeps_stops)
            for index in range(max(1, request.sampling.n))
        ]
        self.is_done = False
        """The server has said that nothing more comes."""

    def read(self, data: bytes) -> Iterator[pb.GenerateResponse]:
        """Take the data of an event, and give what is new in it.

        Raises:
            GarbageError: it is not what the API says.
            UpstreamError: it says that the server failed, or the server goes on and on.
        """
        if data == _DONE:
            self.is_done = True
            return
        chunk = chunks.decode(data)
        if chunk.error is not None:
            raise self._failures.of_event(chunk.error)
        if chunk.usage is not None:
            self._count(chunk.usage)
        for part in chunk.choices or ():
            if part.index >= len(self._choices):
                raise GarbageError("choice")
            for delta in self._choices[part.index].read(part):
                self._first_token_s = self._first_token_s or time.monotonic() - self._arrived
                yield pb.GenerateResponse(delta=delta)
        if sum(choice.written_bytes for choice in self._choices) > self._max_bytes:
            raise self._failures.endless(self._max_bytes)

    def end(self) -> Iterator[pb.GenerateResponse]:
        """Give what is left.

        Raises:
            GarbageError: a tool call is not whole.
            UpstreamError: a choice has not ended, or the arguments of a tool call are not JSON.
        """
        for choice in self._choices:
            # Some servers tell no reason, but do say when all is done.
            has_ended = choice.is_finished or (self.is_done and choice.output_tokens > 0)
            if not has_ended or choice.is_aborted:
                raise self._failures.broken()
            for delta in choice.end():
                yield pb.GenerateResponse(delta=delta)
        # Tokens that had no chunk of their own, such as the one that ends a text.
        unseen = (self._usage.output_tokens if self._usage else 0) - self._seen()
        if unseen > 0:
            yield pb.GenerateResponse(delta=pb.Delta(output_tokens=unseen))

    def finish(self) -> Iterator[pb.GenerateResponse]:
        """Give the decision and `finished`."""
        usage = self._usage
        if usage is None:
            usage = message_pb2.Usage(output_tokens=self._seen())
        decision = decision_pb2.InferenceDecision(
            model=self._card.name,
            engine=self._dialect.name,
            time_to_first_token=_duration(self._first_token_s),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=usage.cached_input_tokens,
        )
        yield pb.GenerateResponse(decision=decision_pb2.Decision(inference=decision))
        yield pb.GenerateResponse(
            finished=pb.Finished(
                choices=[choice.finish() for choice in self._choices],
                usage=usage,
                served_model=self._card.name,
                served_version=self._card.version,
            )
        )

    def _seen(self) -> int:
        return sum(choice.output_tokens for choice in self._choices)

    def _count(self, told: chunks.Usage) -> None:
        before = self._usage or message_pb2.Usage()
        # Servers that tell it again and again tell what it is so far.
        rest = before if self._dialect.counts_each_choice else message_pb2.Usage()
        prompt = told.prompt_tokens_details or chunks.PromptDetails()
        completion = told.completion_tokens_details or chunks.CompletionDetails()
        self._usage = message_pb2.Usage(
            input_tokens=told.prompt_tokens or 0,
            output_tokens=_sum(rest.output_tokens, told.completion_tokens),
            cached_input_tokens=prompt.cached_tokens or 0,
            reasoning_tokens=_sum(rest.reasoning_tokens, completion.reasoning_tokens),
        )


def _max_bytes(request: pb.GenerateRequest, context_window: int) -> int:
    """Return how much a server may write: one that heeds no limit would never end."""
    limit = request.sampling.max_output_tokens or context_window
    if not limit:
        return _UNLIMITED_BYTES
    return _SLACK_BYTES + limit * max(1, request.sampling.n) * _TOKEN_BYTES


def _sum(before: int, told: int | None) -> int:
    return min(before + (told or 0), _MOST_TOKENS)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
