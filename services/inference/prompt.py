"""From a conversation to the token ids of the prompt."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from tokenizers import Tokenizer

from catenary.v1 import generation_pb2 as pb
from services.inference import healing, tools
from services.inference.conversation import conversation
from services.inference.features import is_continued, may_call_tools
from services.inference.formats import Formats
from services.inference.opening import opening
from services.inference.template import ChatTemplate

LONG_BYTES = 4096
"""Requests from here on would hold up the event loop by more than about a millisecond."""

_LONG_AT_ONCE = 2
"""More threads would take the event loop's turns: eight prompts of 1 MB at once held it up for
0.7 s, two for 0.2 s, and were no sooner done."""

_SEAM = "\ufdd0"
"""A code point that is no character: it marks where a special token in a caller's text is cut."""

_INVISIBLE = "\u2060"
"""What stands in its place for engines that tokenise by themselves: a word joiner."""


class Prompt(NamedTuple):
    """A prompt, as text for engines that tokenise, and as the tokens that it makes."""

    text: str
    token_ids: list[int]
    is_thinking: bool
    """It ends inside the model's thoughts."""
    echo: str
    """What the model is to begin with, which is not shown: see `healing`."""
    echo_tokens: int
    """The tokens that the echo would make."""


@dataclass(frozen=True, slots=True)
class Prompter:
    """Writes prompts for one model."""

    model: str
    template: ChatTemplate
    formats: Formats
    tokenizer: Tokenizer
    special_tokens: re.Pattern[str]
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_LONG_AT_ONCE))

    @classmethod
    def read(
        cls, model: str, path: Path, tool_format: str = "", reasoning_format: str = ""
    ) -> Self:
        """Read the template and tokenizer in a model's folder, and how it writes its forms.

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
        template = ChatTemplate.read(path)
        formats = Formats.of(template, tool_format, reasoning_format)
        return cls(model, template, formats, tokenizer, pattern)

    async def prompt(
        self, request: pb.GenerateRequest, *, is_held: bool, heals: bool = False
    ) -> Prompt:
        """Return the prompt of a request.

        `is_held`: the completion is held to a form. `heals`: the engine can be held to an echo.

        Raises:
            MeshError: the messages are refused, or hold what the model cannot read.
        """
        if request.ByteSize() < LONG_BYTES:
            return self._prompt(request, is_held=is_held, heals=heals)
        async with self._turns:
            return await asyncio.to_thread(self._prompt, request, is_held=is_held, heals=heals)

    def _prompt(self, request: pb.GenerateRequest, *, is_held: bool, heals: bool) -> Prompt:
        turns = conversation(request.messages, self.model, self.formats.tools, self._protect)
        shown = (
            tools.for_template(request.tools, self._protect) if may_call_tools(request) else None
        )
        rendered = self.template.render(turns, shown)
        begun = opening(
            rendered,
            request.continuation,
            self.formats.reasoning,
            self._protect,
            is_held=is_held,
        )
        text = rendered + begun.text
        pieces = text.split(_SEAM)
        encoded = self.tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
        token_ids = [token for piece in encoded for token in piece.ids]
        dropped = healing.NOTHING
        if heals and is_continued(request):
            start = len(rendered) - (len(text) - len(pieces[-1]))
            last = self.tokenizer.encode(pieces[-1], add_special_tokens=False)
            dropped = healing.cut(pieces[-1], last, max(0, start))
        return Prompt(
            text.removesuffix(dropped.echo).replace(_SEAM, _INVISIBLE),
            token_ids[: len(token_ids) - dropped.tokens],
            begun.is_thinking,
            dropped.echo,
            dropped.tokens,
        )

    def _protect(self, text: str) -> str:
        """Cut special tokens in a caller's text: nobody speaks for the system or the model."""
        return self.special_tokens.sub(lambda found: found[0][:1] + _SEAM + found[0][1:], text)
