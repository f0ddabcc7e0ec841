"""One choice of a completion, from a server's chunks to the contract's deltas."""

from collections.abc import Iterator, Sequence

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from infra.engine import stops
from services.inference.openai import chunks
from services.inference.openai.surrogates import Joiner
from services.inference.openai.tool_calls import ToolCalls

_REASONS = {
    "length": message_pb2.FINISH_REASON_LENGTH,
    "max_tokens": message_pb2.FINISH_REASON_LENGTH,
    "content_filter": message_pb2.FINISH_REASON_CONTENT_FILTER,
    "tool_calls": message_pb2.FINISH_REASON_TOOL_CALLS,
    "function_call": message_pb2.FINISH_REASON_TOOL_CALLS,
}
"""All other words mean that the model ended it: `stop`, TGI's `eos_token` and `stop_sequence`."""
_ABORTED = ("abort", "error")
"""SGLang's and vLLM's word, and some vendors', for a completion that will not be whole."""


_LEAST_BYTES = 16
"""What any part of a chunk, or a token with its rivals, is counted as at least."""


class Choice:
    """What has come of one choice."""

    def __init__(self, index: int, sampling: message_pb2.Sampling, *, keeps_stops: bool) -> None:
        self._index = index
        self._wants_logprobs = sampling.HasField("logprobs")
        self._rivals = sampling.logprobs
        self._stops = list(sampling.stop)
        self._cuts: Sequence[str] = self._stops if keeps_stops else ()
        self._held = ""
        self._reason = ""
        self._matched_stop = ""
        self._content = Joiner()
        self._thought = Joiner()
        self._calls = ToolCalls()
        self.output_tokens = 0
        """How many tokens have come. Few servers tell; the others give each in a chunk."""
        self.written_bytes = 0
        """About how much has come, to tell a server that never ends."""

    @property
    def is_finished(self) -> bool:
        """Whether the server has told how the choice ended."""
        return bool(self._reason)

    @property
    def is_aborted(self) -> bool:
        """Whether the server gave the choice up."""
        return self._reason in _ABORTED

    def read(self, part: chunks.Choice) -> Iterator[pb.Delta]:
        """Take the choice's part of a chunk, and give what is new in it.

        Raises:
            GarbageError: a tool call is none.
        """
        self._reason = part.finish_reason or self._reason
        for stop in (part.stop_reason, part.matched_stop):
            if stop in self._stops:
                self._matched_stop = str(stop)
        given = part.delta or chunks.Delta()
        content = given.content or ""
        thought = given.reasoning_content or given.reasoning or ""
        calls = list(self._calls.read(_tool_calls(given)))
        logprobs = self._logprobs(part.logprobs)
        written = len(content) + len(thought) + sum(len(call.arguments) for call in calls)
        self.written_bytes += max(written, _LEAST_BYTES * max(1, len(logprobs)))
        # What ends within a character counts too, though it is not given yet.
        tokens = len(logprobs) or int(bool(content or thought or calls))
        self.output_tokens += tokens
        if tokens:
            yield pb.Delta(
                choice=self._index,
                text=self._cut(self._content.join(content)),
                reasoning=self._thought.join(thought),
                tool_calls=calls,
                logprobs=logprobs,
                output_tokens=tokens,
            )

    def end(self) -> Iterator[pb.Delta]:
        """Give what was held back: the begin of what could have been a stop text, half a character.

        Raises:
            GarbageError, UpstreamError: a tool call is none.
        """
        text = self._cut(self._content.end()) + self._held
        thought = self._thought.end()
        has_reached_limit = self._finish_reason() == message_pb2.FINISH_REASON_LENGTH
        calls = list(self._calls.end(is_cut=has_reached_limit or bool(self._matched_stop)))
        if text or thought or calls:
            yield pb.Delta(choice=self._index, text=text, reasoning=thought, tool_calls=calls)

    def finish(self) -> pb.ChoiceFinish:
        """Return how the choice ended."""
        return pb.ChoiceFinish(
            choice=self._index, finish_reason=self._finish_reason(), stop=self._matched_stop
        )

    def _finish_reason(self) -> message_pb2.FinishReason.ValueType:
        reason = _REASONS.get(self._reason, message_pb2.FINISH_REASON_STOP)
        # Where a tool had to be called, OpenAI and some others say `stop`.
        if reason == message_pb2.FINISH_REASON_STOP and self._calls.calls:
            return message_pb2.FINISH_REASON_TOOL_CALLS
        return reason

    def _cut(self, text: str) -> str:
        if not self._cuts:
            return text
        if self._matched_stop:
            return ""
        self._held += text
        found = stops.first(self._held, self._cuts)
        if found is None:
            length = stops.safe_length(self._held, self._cuts)
            given, self._held = self._held[:length], self._held[length:]
            return given
        length, self._matched_stop = found
        given, self._held = self._held[:length], ""
        return given

    def _logprobs(self, given: chunks.Logprobs | None) -> list[pb.TokenLogprob]:
        if given is None or not self._wants_logprobs:
            return []
        tokens = []
        for entry in given.content or ():
            token = _token(entry)
            token.top.extend(map(_token, (entry.top_logprobs or [])[: self._rivals]))
            tokens.append(token)
        return tokens


def _tool_calls(given: chunks.Delta) -> Sequence[chunks.ToolCall]:
    if given.function_call is not None:
        return (chunks.ToolCall(index=0, function=given.function_call),)
    if isinstance(given.tool_calls, chunks.ToolCall):
        return (given.tool_calls,)
    return given.tool_calls or ()


def _token(entry: chunks.Logprob) -> pb.TokenLogprob:
    # Without its bytes, part of a character is U+FFFD, and what it was is not known.
    is_text = "\ufffd" not in entry.token
    data = bytes(entry.data) if entry.data else entry.token.encode() if is_text else b""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    return pb.TokenLogprob(token=text, token_bytes=data, logprob=entry.logprob)
