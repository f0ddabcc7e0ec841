"""Where a rule of the contract is broken, in the words of the body that the caller wrote."""

import re
from collections.abc import Callable
from dataclasses import replace

from services.errors import MeshError, Violation
from services.gateway.openai.body import AssistantMessage, ChatCompletion

# The first that fits counts.
_NAMES = tuple(
    (re.compile(path), name)
    for path, name in (
        (r"sampling\.logprobs", "top_logprobs"),
        (r"sampling\.min_output_tokens", "min_tokens"),
        (r"sampling\.", ""),
        (r"response_format\.regex", "guided_regex"),
        (r"tools\[(\d+)\]\.parameters_schema", r"tools[\1].function.parameters"),
        (r"tools\[(\d+)\]\.", r"tools[\1].function."),
        (r"tool_choice\.name", "tool_choice.function.name"),
        (r"tool_choice\.mode", "tool_choice"),
        (r"(messages\[\d+\]\.tool_calls\[\d+\])\.(name|arguments)", r"\1.function.\2"),
        (r"controls\.", "catenary."),
        (r"continuation$", "continue_final_message"),
    )
)
_CONTENT = re.compile(r"messages\[(\d+)\]\.content\[(\d+)\]\.(\w+)(.*)")


def renamed(error: MeshError, chat: ChatCompletion) -> MeshError:
    """Return the error with the names that the body's fields have there."""
    if not error.violations:
        return error
    violations = tuple(
        Violation(_param(violation.field, chat), _reworded(violation.description, chat))
        for violation in error.violations
    )
    message = error.message.removeprefix(f"{error.violations[0].field}: ")
    if message != error.message:
        message = f"{violations[0].field}: {message}"
    metadata = dict(error.metadata)
    if "field" in metadata:
        metadata["field"] = violations[0].field
    return replace(
        error, message=_reworded(message, chat), metadata=metadata, violations=violations
    )


def _param(field: str, chat: ChatCompletion) -> str:
    if content := _CONTENT.fullmatch(field):
        index, part, kind, rest = content.groups()
        return _content_param(chat, int(index), int(part), kind, rest)
    if field in _BY_BODY:
        return _BY_BODY[field](chat)
    for path, name in _NAMES:
        if path.match(field):
            return path.sub(name, field, count=1)
    return field


def _content_param(chat: ChatCompletion, index: int, part: int, kind: str, rest: str) -> str:
    message, param = chat.messages[index], f"messages[{index}]"
    if isinstance(message, AssistantMessage):
        if kind == "reasoning":
            return f"{param}.reasoning_content"
        part -= bool(message.reasoning_content)
        if kind == "refusal" and part >= len(message.content or ()):
            return f"{param}.refusal"
    if isinstance(message.content, str):
        return f"{param}.content"
    if kind == "media":
        kind = "image_url"
    return f"{param}.content[{part}].{kind}{rest}"


def _limit(chat: ChatCompletion) -> str:
    return "max_completion_tokens" if chat.max_tokens is None else "max_tokens"


def _reworded(text: str, chat: ChatCompletion) -> str:
    return text.replace("max_output_tokens", _limit(chat))


def _end_user(chat: ChatCompletion) -> str:
    return "safety_identifier" if chat.safety_identifier else "user"


def _session(chat: ChatCompletion) -> str:
    routing = chat.catenary and chat.catenary.routing
    return "catenary.routing.session" if routing and routing.session else "prompt_cache_key"


def _of_last_turn(name: str) -> Callable[[ChatCompletion], str]:
    return lambda chat: f"messages[{len(chat.messages) - 1}].{name}"


# What a body can say in more than one way, or where its length tells.
_BY_BODY: dict[str, Callable[[ChatCompletion], str]] = {
    "sampling.max_output_tokens": _limit,
    "end_user": _end_user,
    "controls.routing.session": _session,
    "continuation.text": _of_last_turn("content"),
    "continuation.reasoning": _of_last_turn("reasoning_content"),
}
