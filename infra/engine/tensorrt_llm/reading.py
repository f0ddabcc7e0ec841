"""One sequence, from the output object that grows to what is new of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tensorrt_llm.llmapi import CompletionOutput, RequestOutput

from infra.engine.engine import FinishReason, Generation, Progress, Rivals

_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
_UNTOLD = -9999.0
"""OpenAI's own value for a token that is not among the likeliest."""


@dataclass(slots=True)
class Reading:
    """How far one sequence has been read."""

    sequence: int
    generation: Generation
    ends: frozenset[int]
    """The tokens that end it, and are not part of it."""
    has_ended: bool = False
    _told: int = 0

    def take(self, grown: RequestOutput) -> Progress | None:
        """Return what is new, with copies of its own; None when nothing is."""
        # Later versions tell of a request's failure here rather than raising it.
        if getattr(grown, "error", None):
            return self.failed()
        output = grown.outputs[0]
        token_ids = list(output.token_ids[self._told :])
        reason: FinishReason | None = None
        if output.finish_reason is not None:
            self.has_ended = True
            reason = _FINISH_REASONS.get(output.finish_reason, "failed")
        if reason == "stop" and token_ids and token_ids[-1] in self.ends:
            token_ids.pop()
        if not token_ids and reason is None:
            return None
        logprobs: list[float] = []
        top_logprobs: list[Rivals] = []
        if self.generation.logprobs:
            logprobs, top_logprobs = self._logprobs(output, token_ids)
        cached = 0 if self._told else int(getattr(grown, "cached_tokens", 0) or 0)
        self._told += len(token_ids)
        return Progress(self.sequence, token_ids, logprobs, reason, top_logprobs, cached)

    def failed(self) -> Progress:
        """Return the end of a sequence that the executor has given up."""
        self.has_ended = True
        return Progress(self.sequence, [], [], "failed")

    def _logprobs(
        self, output: CompletionOutput, token_ids: Sequence[int]
    ) -> tuple[list[float], list[Rivals]]:
        """Return each new token's own, and its likeliest rivals, if asked for."""
        own: list[float] = []
        top: list[Rivals] = []
        width = self.generation.top_logprobs
        told = output.logprobs[self._told : self._told + len(token_ids)]
        for token, said in zip(token_ids, told, strict=True):
            # TorchSampler tells of several tokens in each place, TRTLLMSampler a number only.
            places = {token: said} if isinstance(said, float) else _values(said)
            own.append(places.get(token, _UNTOLD))
            likeliest = sorted(places.items(), key=lambda place: -place[1])
            top.append(likeliest[:width])
        return own, top if width else []


def _values(said: dict[int, Any]) -> dict[int, float]:
    return {token: entry.logprob for token, entry in said.items()}
