"""From a conversation to the token ids of the prompt."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

from catenary.v1 import message_pb2
from services.inference.conversation import conversation
from services.inference.engine import Prompt
from services.inference.template import ChatTemplate

_LONG_CHARS = 4096
"""From here on tokenising would hold up the event loop by more than about a millisecond."""

_SEAM = "\ufdd0"
"""A code point that is no character: it marks where a special token in a caller's text is cut."""

_INVISIBLE = "\u2060"
"""What stands in its place for engines that tokenise by themselves: a word joiner."""


@dataclass(frozen=True, slots=True)
class Prompter:
    """Writes prompts for one model."""

    model: str
    template: ChatTemplate
    tokenizer: Tokenizer
    special_tokens: re.Pattern[str]

    @classmethod
    def read(cls, model: str, path: Path) -> Self:
        """Read the template and tokenizer in a model's folder.

        Raises:
            OSError: a file is not there.
            ValueError: a file is not what it should be.
        """
        file = path / "tokenizer.json"
        text = file.read_text(encoding="utf-8")
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # noqa: BLE001 - tokenizers raises nothing more precise
            raise ValueError(f"{file}: {error}") from None
        tokenizer.no_truncation()
        tokenizer.no_padding()
        added = [token["content"] for token in json.loads(text)["added_tokens"]]
        pattern = re.compile("|".join(map(re.escape, [_SEAM, *added])))
        return cls(model, ChatTemplate.read(path), tokenizer, pattern)

    async def prompt(self, messages: Sequence[message_pb2.Message], continued: str) -> Prompt:
        """Return the prompt; `continued` is what there is of the answer already.

        Raises:
            MeshError: the messages are refused, or hold what the model cannot read.
        """
        chars = sum(len(part.text) for message in messages for part in message.content)
        if chars + len(continued) < _LONG_CHARS:
            return self._prompt(messages, continued)
        return await asyncio.to_thread(self._prompt, messages, continued)

    def _prompt(self, messages: Sequence[message_pb2.Message], continued: str) -> Prompt:
        turns = conversation(messages, self.model, self._protect)
        text = self.template.render(turns) + self._protect(continued)
        encoded = self.tokenizer.encode_batch_fast(text.split(_SEAM), add_special_tokens=False)
        token_ids = [token for piece in encoded for token in piece.ids]
        return Prompt(text.replace(_SEAM, _INVISIBLE), token_ids)

    def _protect(self, text: str) -> str:
        """Cut special tokens in a caller's text: nobody speaks for the system or the model."""
        return self.special_tokens.sub(lambda found: found[0][:1] + _SEAM + found[0][1:], text)
