"""What a server streams: the chunks of a chat completion, as loosely as servers keep to them."""

from typing import Annotated, Any

import msgspec

from services.inference.openai import surrogates
from services.inference.openai.failures import GarbageError

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]


class Logprob(msgspec.Struct, frozen=True):
    """A token and how likely it was."""

    token: str = ""
    logprob: float = 0.0
    data: list[_Byte] | None = msgspec.field(default=None, name="bytes")
    top_logprobs: "list[Logprob] | None" = None


class Logprobs(msgspec.Struct, frozen=True):
    """The tokens of a delta."""

    content: list[Logprob] | None = None


class Function(msgspec.Struct, frozen=True):
    """A part of a call: whole for some servers, with its arguments as a value for a few."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """A part of a tool call."""

    index: _Count | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, frozen=True):
    """What is new of a choice. Its role, which not all servers give, is known anyway."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """What newer servers call `reasoning_content`; some give both."""
    tool_calls: list[ToolCall] | ToolCall | None = None
    """TGI 2 gives one call and no list."""
    function_call: Function | None = None
    """How calls were written before there were several."""


class Choice(msgspec.Struct, frozen=True):
    """One choice's part of a chunk."""

    index: _Count = 0
    delta: Delta | None = None
    logprobs: Logprobs | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """vLLM: the stop text that ended the choice, or a token's id."""
    matched_stop: str | int | list[int] | None = None
    """SGLang: the same."""


class PromptDetails(msgspec.Struct, frozen=True):
    """How the prompt's tokens came to be known."""

    cached_tokens: _Count | None = None


class CompletionDetails(msgspec.Struct, frozen=True):
    """What the completion's tokens were for."""

    reasoning_tokens: _Count | None = None


class Usage(msgspec.Struct, frozen=True):
    """What was consumed, so far or in all."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Chunk(msgspec.Struct, frozen=True):
    """One event of a stream; one with usage only has no choices."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: Any = None
    """What went wrong: a text, or an object with `message`, `type` and `code`."""


_DECODER = msgspec.json.Decoder(Chunk)


def decode(data: bytes) -> Chunk:
    """Read a chunk; texts that come in pieces may begin and end within a character.

    Raises:
        GarbageError: it is none.
    """
    try:
        return _DECODER.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return msgspec.convert(surrogates.loads(data), Chunk)
    except (ValueError, RecursionError):
        raise GarbageError("not_a_chunk") from None
