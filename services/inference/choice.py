"""One choice of a completion, from what the engine says to deltas."""

import secrets
from collections import deque
from collections.abc import Callable, Sequence

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.inference.arguments import require_object
from services.inference.engine import Piece
from services.inference.parsing.source import Kind, Parser, Part, Reading, Source

Read = Callable[[Source], Reading[None]]
"""How the text of a choice is read."""

_FINISH_REASONS = {
    "stop": message_pb2.FINISH_REASON_STOP,
    "length": message_pb2.FINISH_REASON_LENGTH,
}


class Choice:
    """The text of a choice, taken apart; `read` is None where all of it is said."""

    def __init__(self, index: int, read: Read | None, *, may_call_several: bool) -> None:
        self.finish: pb.ChoiceFinish | None = None
        """How it ended, once it has."""
        self.is_running = True
        """The engine has more to say of it, which is perhaps not told."""
        self.reasoning_tokens = 0
        self._untold_tokens = 0
        self._index = index
        self._parser = None if read is None else Parser(read)
        self._may_call_several = may_call_several
        self._calls = 0
        self._called = ""
        """The tool whose call has not ended."""
        self._arguments: list[str] = []
        self._kind = Kind.TEXT
        self._logprobs = _Aligned()

    def read(self, piece: Piece) -> pb.Delta | None:
        """Return what a piece adds; None where there is nothing to show for it yet.

        Raises:
            MeshError: MALFORMED_TOOL_CALL.
        """
        self._untold_tokens += piece.output_tokens
        self.is_running = not piece.finish_reason
        delta = pb.Delta()
        if self._parser is None:
            delta.text = piece.text
            delta.logprobs.extend(piece.logprobs)
        elif self.finish is None:
            self._logprobs.add(piece.logprobs)
            parts = self._parser.push(piece.text)
            if piece.finish_reason:
                parts += self._parser.finish()
            self._add(parts, delta)
            if piece.finish_reason and self._kind == Kind.TEXT:
                delta.logprobs.extend(self._logprobs.rest())
            self.reasoning_tokens += self._thought(parts, piece.output_tokens)
        if piece.finish_reason and self.finish is None:
            self.finish = self._ended(piece)
        has_more_to_tell = self.finish is not None and self._untold_tokens
        if not (delta.ByteSize() or has_more_to_tell):
            return None
        delta.choice = self._index
        delta.output_tokens, self._untold_tokens = self._untold_tokens, 0
        return delta

    def _add(self, parts: Sequence[Part], delta: pb.Delta) -> None:
        for kind, raw, shown in parts:
            if kind == Kind.CALL and self._calls and not self._may_call_several:
                # What is over one call is not told.
                self.finish = self._ended(Piece(finish_reason="stop"))
                return
            if kind != Kind.ARGUMENTS:
                self._end_call()
            self._kind = kind
            is_text = kind == Kind.TEXT and bool(shown)
            delta.logprobs.extend(entry for entry in self._logprobs.take(raw) if is_text)
            match kind:
                case Kind.TEXT:
                    delta.text += shown
                case Kind.REASONING:
                    delta.reasoning += shown
                case Kind.CALL:
                    identity = f"call_{secrets.token_urlsafe(18)}"
                    delta.tool_calls.add(index=self._calls, id=identity, name=shown)
                    self._calls += 1
                    self._called = shown
                case Kind.ARGUMENTS if shown:
                    if not delta.tool_calls:
                        delta.tool_calls.add(index=self._calls - 1)
                    delta.tool_calls[-1].arguments += shown
                    self._arguments.append(shown)

    def _end_call(self) -> None:
        if self._called:
            require_object(self._called, "".join(self._arguments))
        self._called = ""
        self._arguments.clear()

    def _thought(self, parts: Sequence[Part], tokens: int) -> int:
        """Return how many of a piece's tokens were thought: by length, where only some were."""
        chars = sum(len(part.raw) for part in parts)
        if not chars:
            return tokens if self._kind == Kind.REASONING else 0
        thought = sum(len(part.raw) for part in parts if part.kind == Kind.REASONING)
        return round(tokens * thought / chars)

    def _ended(self, piece: Piece) -> pb.ChoiceFinish:
        reason = _FINISH_REASONS[piece.finish_reason]
        is_cut = piece.finish_reason != "stop" or piece.matched_stop
        if self._calls and not is_cut:
            self._end_call()
            reason = message_pb2.FINISH_REASON_TOOL_CALLS
        return pb.ChoiceFinish(choice=self._index, finish_reason=reason, stop=piece.matched_stop)


class _Aligned:
    """Tokens with their log probabilities, given out with the text that they begin in."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, pb.TokenLogprob]] = deque()
        self._made_bytes = 0
        self._taken_bytes = 0

    def add(self, entries: Sequence[pb.TokenLogprob]) -> None:
        """Take in the tokens of a piece."""
        for entry in entries:
            self._waiting.append((self._made_bytes, entry))
            self._made_bytes += len(entry.token_bytes)

    def take(self, text: str) -> list[pb.TokenLogprob]:
        """Return the tokens that begin in the text that follows."""
        self._taken_bytes += len(text.encode())
        taken = []
        while self._waiting and self._waiting[0][0] < self._taken_bytes:
            taken.append(self._waiting.popleft()[1])
        return taken

    def rest(self) -> list[pb.TokenLogprob]:
        """Return the tokens that are left: those that make no text of their own."""
        return [entry for _, entry in self._waiting]
