"""What an engine counts; its host publishes it: Triton as its own metrics, a process as its."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from infra.engine.failure import Reason
from infra.engine.frames import Work
from services import telemetry

_WEIGHT_OF_NEWEST = 0.3


@dataclass(slots=True)
class Figures:
    """The figures of one model, as its serving keeps them."""

    running: int = 0
    """Sequences in the engine."""
    running_tokens: int = 0
    """What they take of the KV cache at most."""
    waiting: int = 0
    """Requests that wait for a place."""
    waiting_tokens: int = 0
    """What they need at most."""
    kv_cache_usage_ratio: float = 0.0
    """The share of the KV cache in use."""
    batch_size: float = 0.0
    """Sequences in a step, at the mean of late."""
    tokens_per_s: float = 0.0
    """Generated of late."""
    steps: int = 0
    """Steps of the engine, ever."""
    prompt_tokens: int = 0
    """Tokens of prompts, ever."""
    cached_prompt_tokens: int | None = None
    """Of these, found in the KV cache; None where the engine does not tell."""
    generated_tokens: int = 0
    """Tokens generated, ever."""
    abandoned_tokens: int = 0
    """Of these, at most so many after their caller had left."""
    restarts: int = 0
    """How often the engine's process ended unasked."""
    failures: Counter[Reason] = field(default_factory=Counter[Reason])
    """Requests that failed, by reason."""
    step_s: float = 0.0
    """What a step takes, at the mean of late: so long takes a token, at least."""

    @property
    def cached_prompt_ratio(self) -> float:
        """The share of the prompts' tokens, ever, that the KV cache held; NaN where not told."""
        if self.cached_prompt_tokens is None or not self.prompt_tokens:
            return math.nan
        return self.cached_prompt_tokens / self.prompt_tokens

    def count(self, work: Work) -> None:
        """Add what the engine has done."""
        self.kv_cache_usage_ratio = work.kv_cache_usage_ratio
        self.steps += work.steps
        self.prompt_tokens += work.prompt_tokens
        self.generated_tokens += work.generated_tokens
        if work.steps:
            self.step_s = _mean(self.step_s, work.step_ns / work.steps / 1e9)
            self.batch_size = _mean(self.batch_size, work.sequence_steps / work.steps)

    def count_cached(self, tokens: int) -> None:
        """Add tokens of prompts that were found in the KV cache."""
        self.cached_prompt_tokens = (self.cached_prompt_tokens or 0) + tokens

    def time_passed(self, seconds: float, generated_before: int) -> None:
        """Bring the rates up to date."""
        rate = (self.generated_tokens - generated_before) / seconds
        self.tokens_per_s = _mean(self.tokens_per_s, rate)


def _mean(before: float, newest: float) -> float:
    return before + _WEIGHT_OF_NEWEST * (newest - before) if before else newest


class Metric(NamedTuple):
    """A figure, as it is published with the label `model`."""

    name: str
    text: str
    attribute: str


QUEUE_GAUGES = (
    Metric(telemetry.ENGINE_RUNNING, "Sequences in the engine.", "running"),
    Metric(telemetry.ENGINE_RUNNING_TOKENS, "What they take at most.", "running_tokens"),
    Metric(telemetry.ENGINE_WAITING, "Requests that wait for a place.", "waiting"),
    Metric(telemetry.ENGINE_WAITING_TOKENS, "What they need at most.", "waiting_tokens"),
)
GAUGES = (
    *QUEUE_GAUGES,
    Metric(telemetry.ENGINE_KV_USAGE, "The share of KV cache in use.", "kv_cache_usage_ratio"),
    Metric(telemetry.ENGINE_BATCH_SIZE, "Sequences in a step, of late.", "batch_size"),
    Metric(telemetry.ENGINE_TOKENS_PER_S, "Tokens generated a second, of late.", "tokens_per_s"),
)
COUNTERS = (
    Metric(telemetry.ENGINE_STEPS, "Steps of the engine.", "steps"),
    Metric(telemetry.ENGINE_TOKENS, "Tokens that the engine generated.", "generated_tokens"),
    Metric(telemetry.ENGINE_PROMPT_TOKENS, "Tokens of prompts.", "prompt_tokens"),
    Metric(
        telemetry.ENGINE_CACHED_PROMPT_TOKENS,
        "Tokens of prompts that were in the KV cache, where the engine tells.",
        "cached_prompt_tokens",
    ),
    Metric(
        telemetry.ABANDONED_TOKENS,
        "Tokens generated after the caller had left, at most.",
        "abandoned_tokens",
    ),
    Metric(telemetry.ENGINE_RESTARTS, "Ends of the engine's process, unasked.", "restarts"),
)
FAILURES = Metric(telemetry.ENGINE_FAILURES, "Requests that failed, by reason.", "failures")
"""Its further label is `reason`."""


class Load(NamedTuple):
    """How busy an engine is, for whoever chooses between engines."""

    utilization: float
    """What is in the engine and waits for it, as a share of what it takes: 1 is full."""
    running: float
    """Sequences in the engine."""
    waiting: float
    """Requests that wait."""
    waiting_tokens: float
    kv_cache_usage_ratio: float
    tokens_per_s: float
    """Generated of late."""
    sequences_per_s: float
    """Ended of late, while there were any."""
    batch_size: float
    """Sequences in a step, of late."""
    max_batch_size: float
    """The most that a step can take."""
    cached_prompt_ratio: float
    """The share of the prompts' tokens that the KV cache held; NaN where the engine does not tell:
    it travels in a tensor of floats."""


class Publisher(Protocol):
    """Shows figures to whoever collects metrics."""

    def publish(self, figures: Figures) -> None:
        """Show the figures as they are now."""
        ...

    def withdraw(self) -> None:
        """Show them no more: the model is given up."""
        ...
