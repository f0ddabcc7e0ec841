"""What a request needs of an engine, and whether the engine could ever give it."""

import math
import sys
from dataclasses import dataclass

import msgspec

from infra.engine.engine import Generation, KvCache


@dataclass(slots=True, eq=False)
class RefusedError(Exception):
    """The request can never be served."""

    field: str
    """The input that asks for too much."""
    problem: str


def kv_cache_tokens(kv_cache: KvCache) -> int:
    """Return what the KV cache holds; where the engine does not tell, whatever is wanted."""
    return kv_cache.blocks * kv_cache.block_tokens or sys.maxsize


def fitted(generation: Generation, kv_cache: KvCache, context_window: int) -> Generation:
    """Return the generation with no more output than the KV cache can hold.

    Raises:
        RefusedError: a sequence of it needs more by itself.
    """
    prompt, output = len(generation.input_ids), generation.max_output_tokens
    holds = kv_cache_tokens(kv_cache)
    if prompt + output <= holds:
        return generation
    # Whoever wants all of the context window has set no limit, and gets what there is.
    if prompt + output == context_window and prompt < holds:
        return msgspec.structs.replace(generation, max_output_tokens=holds - prompt)
    raise RefusedError(
        "max_output_tokens",
        f"a prompt of {prompt} tokens and a completion of {output} need more than the {holds}"
        " tokens that the KV cache holds",
    )


def tokens(generation: Generation, kv_cache: KvCache, max_sequences: int, max_tokens: int) -> int:
    """Return how many tokens of the KV cache all sequences of a generation may come to.

    Raises:
        RefusedError: they are more than are admitted at once.
    """
    if generation.n > max_sequences:
        raise RefusedError("n", f"must be at most {max_sequences}")
    prompt, output, block = (
        len(generation.input_ids),
        generation.max_output_tokens,
        kv_cache.block_tokens,
    )
    needed = generation.n * math.ceil((prompt + output) / block) * block
    if needed > max_tokens:
        raise RefusedError(
            "max_output_tokens",
            f"a prompt of {prompt} tokens and a completion of {output}, {generation.n} times, need"
            f" more than the {max_tokens} tokens that are admitted at once",
        )
    return needed
