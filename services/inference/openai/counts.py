"""Counting a prompt's tokens where a server has a way to."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from services.inference.openai.failures import GarbageError


class _Answer(msgspec.Struct):
    """What servers answer; each fills in one of the fields."""

    count: int | None = None
    input_tokens: int | None = None
    tokenize_response: list[msgspec.Raw] | None = None


class Counting(NamedTuple):
    """Where to ask, with the body of a chat completion, and what the answer says."""

    path: str
    is_under_root: bool
    """The path begins at the server's root, and not at the API's."""
    read: Callable[[_Answer], int | None]


TOKENIZE = Counting("tokenize", is_under_root=True, read=lambda answer: answer.count)
"""vLLM's."""
INPUT_TOKENS = Counting(
    "chat/completions/input_tokens", is_under_root=False, read=lambda answer: answer.input_tokens
)
"""llama.cpp's."""


def _length(answer: _Answer) -> int | None:
    return None if answer.tokenize_response is None else len(answer.tokenize_response)


CHAT_TOKENIZE = Counting("chat_tokenize", is_under_root=True, read=_length)
"""TGI's."""


def read(counting: Counting, data: bytes) -> int:
    """Return the count that an answer tells.

    Raises:
        GarbageError: it tells none.
    """
    try:
        count = counting.read(msgspec.json.decode(data, type=_Answer))
    except ValueError:
        count = None
    if count is None or count < 0:
        raise GarbageError("token_count")
    return count
