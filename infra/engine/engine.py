"""What every engine is to the rest: it takes sequences, and each step tells what became of them."""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Protocol

import msgspec
from msgspec import Meta

FinishReason = Literal["stop", "length", "out_of_memory", "failed"]
"""Why a sequence ended: by a token that ends it, at its limit, for want of KV cache, or by a fault
that the engine survives."""


Token = Annotated[int, Meta(ge=0)]
Tokens = Annotated[list[Token], Meta(min_length=1)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Generation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request. None stands for the model's own default."""

    input_ids: Tokens
    """The prompt."""
    max_output_tokens: Annotated[int, Meta(ge=1)]
    """The most tokens to generate for each choice."""
    min_output_tokens: Annotated[int, Meta(ge=0)] = 0
    """The fewest tokens before a choice may end."""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    """0 always takes the likeliest token."""
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    """0 considers every token."""
    min_p: Share | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    seed: Annotated[int, Meta(ge=0)] | None = None
    """Choice i is drawn with seed + i."""
    stop: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=16)] = []
    """Texts that end a choice; they are not part of it."""
    stop_token_ids: Annotated[list[Token], Meta(max_length=16)] = []
    """Tokens that end a choice, beside the model's own."""
    ignore_eos: Literal[0, 1] = 0
    """1 generates on after the model's own end, up to the limit: for measurements."""
    n: Annotated[int, Meta(ge=1, le=128)] = 1
    """How many choices to generate."""
    logprobs: Literal[0, 1] = 0
    """1 gives the log probability of each token."""
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] = 0
    """With `logprobs`: how many of the likeliest tokens to tell in each token's place."""
    logit_bias: Annotated[dict[Token, Bias], Meta(max_length=1024)] = {}
    """What is added to the logits of tokens."""
    priority: Annotated[int, Meta(ge=0, le=9)] = 5
    """Which of the waiting goes first: 0 is the highest."""
    time_budget_ms: Annotated[int, Meta(ge=0)] | None = None
    """How long it may take in all, from its arrival on."""
    json_schema: str | None = None
    """The completion is JSON that follows this schema."""
    regex: str | None = None
    """The completion matches this expression as a whole."""
    structural_tag: str | None = None
    """The completion is free up to a trigger, and then follows a grammar: XGrammar's JSON."""
    adapter: str = ""
    """The low-rank adapter to generate with, by its name in the configuration."""
    cache_salt: str = ""
    """Prompts share what they have in common only with prompts of the same salt."""
    trace_headers: dict[str, str] = {}
    """The trace of the span above, for an engine that writes spans of its own."""


Rivals = list[tuple[int, float]]
"""The likeliest tokens in one token's place, likeliest first, with their log probabilities."""


class Progress(NamedTuple):
    """What one step did for one sequence."""

    sequence: int
    token_ids: list[int]
    """The new tokens, without the one that ended the sequence."""
    logprobs: list[float]
    """One a token, if asked for."""
    finish_reason: FinishReason | None
    """Set once, with the last tokens."""
    top_logprobs: Sequence[Rivals] = ()
    """One a token, if asked for."""
    cached_input_tokens: int = 0
    """How much of the prompt was in the KV cache, where the engine tells: once, with any tokens."""


class KvCache(NamedTuple):
    """The paged cache of keys and values; of no blocks where the engine does not tell."""

    blocks: int
    block_tokens: int
    """What a block holds; a sequence takes whole blocks."""


class Engine(Protocol):
    """An engine with in-flight batching, driven by one thread.

    What else it raises than it says here means that it is of no more use, and its process ends.
    """

    name: str
    messages_per_s: float
    """How many messages about tokens are sent at most, for all sequences together."""

    def submit(self, sequence: int, generation: Generation, choice: int) -> None:
        """Take a sequence in; `sequence` is a number never used before.

        Raises:
            ValueError: the engine cannot do what is asked; its text is for the caller.
        """
        ...

    def cancel(self, sequence: int) -> None:
        """Free the sequence's place; no more is told of it."""
        ...

    def step(self) -> list[Progress]:
        """Work on all sequences until there is something to tell."""
        ...

    def kv_cache(self) -> KvCache:
        """Return the size of the KV cache."""
        ...

    def kv_cache_usage_ratio(self) -> float:
        """Return the share of the KV cache in use, from 0 to 1."""
        ...

    def close(self) -> None:
        """Give back what the engine holds outside its process."""
        ...
