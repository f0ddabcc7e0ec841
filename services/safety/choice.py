"""What of one choice of a completion may leave, as it streams."""

from collections import deque
from collections.abc import Iterable

from catenary.v1 import generation_pb2 as pb
from services.safety.hold import Hold
from services.safety.phrases import Phrases


class Choice:
    """Holds each text of one choice apart: the answer, the thought, each tool call's arguments."""

    def __init__(self, index: int, deny: Phrases) -> None:
        self.blocked = False
        """A phrase has been found; nothing of the choice leaves any more."""
        self._index = index
        self._deny = deny
        self._text = Hold(deny)
        self._reasoning = Hold(deny)
        self._arguments: dict[int, Hold] = {}
        self._held_tokens = 0
        self._read_chars = 0
        self._logprobs: deque[tuple[int, Iterable[pb.TokenLogprob]]] = deque()
        """Log probabilities that have not left, by the length of the text with the last of them."""

    def read(self, delta: pb.Delta) -> pb.Delta | None:
        """Take the next delta; return what may leave now, with the tokens of all that was taken.

        Log probabilities name their tokens: they leave with the end of the delta that brought them.
        """
        self._held_tokens += delta.output_tokens
        self._read_chars += len(delta.text)
        if delta.logprobs:
            self._logprobs.append((self._read_chars, delta.logprobs))
        out = pb.Delta(text=self._push(self._text, delta.text))
        out.reasoning = self._push(self._reasoning, delta.reasoning)
        for piece in delta.tool_calls:
            self._read_tool_call(out, piece)
        return self._leave(out)

    def flush(self) -> pb.Delta | None:
        """Return what was held, now that the choice has ended without a phrase."""
        out = pb.Delta(text=self._text.flush(), reasoning=self._reasoning.flush())
        for index, hold in self._arguments.items():
            rest = hold.flush()
            if rest:
                out.tool_calls.add(index=index, arguments=rest)
        return self._leave(out)

    def _push(self, hold: Hold, piece: str) -> str:
        if self.blocked or not piece:
            return ""
        safe = hold.push(piece)
        self.blocked = hold.blocked
        return safe

    def _read_tool_call(self, out: pb.Delta, piece: pb.ToolCallDelta) -> None:
        # A name comes whole.
        self._push(Hold(self._deny), piece.name)
        if self.blocked:
            return
        hold = self._arguments.setdefault(piece.index, Hold(self._deny))
        arguments = self._push(hold, piece.arguments)
        if piece.id or piece.name or arguments:
            out.tool_calls.add(index=piece.index, id=piece.id, name=piece.name, arguments=arguments)

    def _leave(self, out: pb.Delta) -> pb.Delta | None:
        left_chars = self._read_chars - len(self._text.held)
        while not self.blocked and self._logprobs and self._logprobs[0][0] <= left_chars:
            out.logprobs.extend(map(self._without_denied_rivals, self._logprobs.popleft()[1]))
        if not out.ListFields() and (self._waits() or not self._held_tokens):
            return None
        out.choice, out.output_tokens = self._index, self._held_tokens
        self._held_tokens = 0
        return out

    def _waits(self) -> bool:
        holds = (self._text, self._reasoning, *self._arguments.values())
        return not self.blocked and any(hold.held for hold in holds)

    def _without_denied_rivals(self, logprob: pb.TokenLogprob) -> pb.TokenLogprob:
        allowed = [rival for rival in logprob.top if self._allows(rival.token)]
        if len(allowed) == len(logprob.top):
            return logprob
        return pb.TokenLogprob(
            token=logprob.token,
            token_bytes=logprob.token_bytes,
            logprob=logprob.logprob,
            top=allowed,
        )

    def _allows(self, token: str) -> bool:
        return self._deny.scan(0, token.casefold())[1] is None
