"""What the model's tokenizer tells of texts that an engine tokenises by itself."""

import asyncio
from dataclasses import dataclass
from typing import Self

from tokenizers import Tokenizer

_LONG_CHARS = 4096
"""From here on tokenising would hold up the event loop by more than about a millisecond."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts tokens, and undoes what a tokenizer adds."""

    tokenizer: Tokenizer
    prefix: str
    """What the tokenizer puts before every text by itself; mostly the token that begins one."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Find out what a tokenizer adds."""
        added = tokenizer.encode("a").ids
        bare = tokenizer.encode("a", add_special_tokens=False).ids
        starts = (at for at in range(len(added)) if added[at : at + len(bare)] == bare)
        prefix = [tokenizer.id_to_token(token) or "" for token in added[: next(starts, 0)]]
        return cls(tokenizer, "".join(prefix))

    def bare(self, prompt: str) -> str:
        """Return the prompt without what the engine's own tokenizer will put before it.

        Chat templates write that too, and models answer worse when it stands there twice.
        """
        return prompt.removeprefix(self.prefix)

    async def count(self, text: str) -> int:
        """Return how many tokens a completion's text is made of."""
        if len(text) < _LONG_CHARS:
            return len(self.ids(text))
        return len(await asyncio.to_thread(self.ids, text))

    def ids(self, text: str) -> list[int]:
        """Return the tokens that a completion's text is usually made of."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids
