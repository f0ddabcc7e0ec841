"""What a server's list of models tells of one of them."""

from collections.abc import Iterable
from typing import Any

import msgspec

_NAMES = {
    # Another mesh's words, which are ours.
    "chat": "chat",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "reasoning": "reasoning",
    "json_schema": "json_schema",
    "regex": "regex",
    "logprobs": "logprobs",
    "embeddings": "embeddings",
    # Mistral's.
    "completion_chat": "chat",
    "function_calling": "tools",
    # OpenRouter's.
    "structured_outputs": "json_schema",
}
"""A model card's word for each that servers use."""


class _Model(msgspec.Struct):
    id: Any = None
    capabilities: Any = None
    """Words, or whether each is true."""
    supported_parameters: Any = None
    """OpenRouter: the fields that a chat may have."""


class _List(msgspec.Struct):
    data: list[_Model]


def capabilities(data: bytes, model: str) -> list[str]:
    """Return what a list of models says that a model can do; nothing where it does not say."""
    try:
        listed = msgspec.json.decode(data, type=_List).data
    except (ValueError, RecursionError):
        return []
    for entry in listed:
        if entry.id == model:
            return _told(entry)
    return []


def _told(entry: _Model) -> list[str]:
    if isinstance(entry.supported_parameters, list):
        return _named(["chat", *entry.supported_parameters])
    match entry.capabilities:
        case list() as words:
            return _named(words)
        case dict() as answers:
            return _named(word for word, answer in answers.items() if answer is True)
    return []


def _named(words: Iterable[Any]) -> list[str]:
    names = (_NAMES[word] for word in words if isinstance(word, str) and word in _NAMES)
    return list(dict.fromkeys(names))
