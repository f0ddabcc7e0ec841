"""What of one choice of a completion may leave, as it streams."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from catenary.config.v1.safety_pb2 import SAFETY_ACTION_ALLOW
from catenary.v1 import generation_pb2 as pb
from services.safety.detector import Source, Text
from services.safety.pseudonyms import Pseudonyms
from services.safety.stream.json_window import JsonWindow
from services.safety.stream.rules import Judged, Rules
from services.safety.stream.tool_calls import ToolCalls
from services.safety.stream.window import Part, Window

_MOST_RIVALS = 4096
"""How many rival tokens are remembered as judged; a vocabulary has some 100,000."""


class _Logprob(NamedTuple):
    """A log probability that has not left, and the characters of the text that it speaks of."""

    start: int
    end: int
    entry: pb.TokenLogprob


class Choice:
    """Filters each text of one choice apart: the answer, the thought, each tool call."""

    def __init__(
        self,
        index: int,
        request: pb.GenerateRequest,
        rules: Rules,
        pseudonyms: Pseudonyms,
        on_finding: Callable[[Judged], None],
    ) -> None:
        self._index = index
        self._rules = rules
        before = request.continuation
        is_json = request.response_format.WhichOneof("format") in {"json_object", "json_schema"}
        of_text = JsonWindow if is_json else Window
        self._text: Window | JsonWindow = of_text(rules, pseudonyms, on_finding, before.text)
        self._thought = Window(rules, pseudonyms, on_finding, before.reasoning)
        self._tool_calls = ToolCalls(
            frozenset(tool.name for tool in request.tools), rules, pseudonyms, on_finding
        )
        self._untold_tokens = 0
        self._waiting: dict[Window | JsonWindow, deque[tuple[int, int]]] = {
            self._text: deque(),
            self._thought: deque(),
        }
        """The tokens of what has not left, each with the end of its text."""
        self._tool_call_tokens = 0
        self._logprobs: deque[_Logprob] = deque()
        self._changed: deque[Part] = deque()
        self._rivals: dict[str, bool] = {}

    @property
    def blocked(self) -> Judged | None:
        """What has ended the choice; nothing of it leaves any more."""
        return self._text.blocked or self._thought.blocked or self._tool_calls.blocked

    @property
    def held_tokens(self) -> int:
        """Return how many tokens have come whose text has not left."""
        for window, waiting in self._waiting.items():
            while waiting and waiting[0][0] <= window.left:
                waiting.popleft()
        texts = sum(tokens for waiting in self._waiting.values() for _, tokens in waiting)
        return texts + self._tool_call_tokens

    def read(self, delta: pb.Delta) -> pb.Delta | None:
        """Take the next delta; return what may leave now, with the tokens of all that was taken.

        Raises:
            MeshError: MALFORMED_TOOL_CALL: its tool calls take more than is held.
        """
        self._untold_tokens += delta.output_tokens
        out = pb.Delta()
        if delta.reasoning:
            out.reasoning = _joined(self._thought.push(delta.reasoning))
        if delta.text and not self.blocked:
            # The thought is over, unless there comes more, and belongs before the text.
            out.reasoning += _joined(self._thought.pause())
            self._read_logprobs(delta)
            out.text = self._said(self._text.push(delta.text) if not self.blocked else [])
        else:
            self._read_logprobs(delta)
        for piece in delta.tool_calls:
            self._tool_calls.add(piece)
        self._count(delta)
        return self._leave(out)

    def finish(self) -> pb.Delta | None:
        """Return what waited for the choice's end."""
        out = pb.Delta(reasoning=_joined(self._thought.finish()))
        out.text = self._said(self._text.finish() if not self.blocked else [])
        if not self.blocked:
            out.tool_calls.extend(self._tool_calls.finish())
        self._tool_call_tokens = 0
        return self._leave(out)

    def _said(self, parts: Sequence[Part]) -> str:
        if self._logprobs:
            self._changed.extend(part for part in parts if part.changed)
        return _joined(parts)

    def _count(self, delta: pb.Delta) -> None:
        if delta.text:
            self._waiting[self._text].append((self._text.end, delta.output_tokens))
        elif delta.reasoning:
            self._waiting[self._thought].append((self._thought.end, delta.output_tokens))
        elif delta.tool_calls:
            self._tool_call_tokens += delta.output_tokens

    def _read_logprobs(self, delta: pb.Delta) -> None:
        """Note log probabilities with their text, each its own where the tokens tell."""
        end = self._text.end + len(delta.text)
        start = self._text.end
        are_exact = "".join(entry.token for entry in delta.logprobs) == delta.text
        for entry in delta.logprobs:
            stop = start + len(entry.token) if are_exact else end
            self._logprobs.append(_Logprob(start, stop, entry))
            start = stop if are_exact else start

    def _leave(self, out: pb.Delta) -> pb.Delta | None:
        if self._logprobs:
            out.logprobs.extend(self._leaving_logprobs())
        if not out.ListFields() and (self._waits() or not self._untold_tokens):
            return None
        out.choice, out.output_tokens = self._index, self._untold_tokens
        self._untold_tokens = 0
        return out

    def _leaving_logprobs(self) -> Iterator[pb.TokenLogprob]:
        """Give those of text that left as it was."""
        while self._logprobs and self._logprobs[0].end <= self._text.left:
            start, end, entry = self._logprobs.popleft()
            while self._changed and self._changed[0].end <= start:
                self._changed.popleft()
            if not self._changed or self._changed[0].start >= end:
                yield self._without_denied_rivals(entry)

    def _waits(self) -> bool:
        texts = any(window.left < window.end for window in self._waiting)
        return not self.blocked and (texts or bool(self._tool_calls))

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
        allows = self._rivals.get(token)
        if allows is None:
            judged = self._rules.judged(Text(token, Source.ANSWER))
            allows = all(one.action == SAFETY_ACTION_ALLOW for one in judged)
            if len(self._rivals) < _MOST_RIVALS:
                self._rivals[token] = allows
        return allows


def _joined(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts)
