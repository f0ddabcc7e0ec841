"""Messages as chat templates know them: Hugging Face's form of OpenAI's."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from catenary.v1 import message_pb2 as pb
from services import errors
from services.inference.formats import ToolFormat

_ROLES = {
    pb.ROLE_SYSTEM: "system",
    pb.ROLE_USER: "user",
    pb.ROLE_ASSISTANT: "assistant",
    pb.ROLE_TOOL: "tool",
}


Change = Callable[[str], str]


def conversation(
    messages: Sequence[pb.Message], model: str, tools: ToolFormat, protect: Change
) -> list[Mapping[str, Any]]:
    """Return the messages for a template; every text of a caller's passes through `protect`.

    Raises:
        MeshError: UNSUPPORTED for content that is not text.
    """
    call_id = _mistral_id if tools == ToolFormat.MISTRAL else protect
    return [
        _turn(message, f"messages[{index}]", model, protect, call_id)
        for index, message in enumerate(messages)
    ]


def _turn(
    message: pb.Message, path: str, model: str, protect: Change, call_id: Change
) -> Mapping[str, Any]:
    texts, thoughts = [], []
    for index, part in enumerate(message.content):
        if part.HasField("media"):
            field = f"{path}.content[{index}].media"
            raise errors.unsupported(field, model, "the model reads text only")
        if part.HasField("reasoning"):
            thoughts.append(protect(part.reasoning))
        else:
            texts.append(protect(part.text or part.refusal))
    turn: dict[str, Any] = {"role": _ROLES[message.role], "content": "".join(texts)}
    if thoughts:
        turn["reasoning_content"] = "".join(thoughts)
    if message.name:
        turn["name"] = protect(message.name)
    if message.tool_call_id:
        turn["tool_call_id"] = call_id(message.tool_call_id)
    if message.tool_calls:
        turn["tool_calls"] = [_tool_call(call, protect, call_id) for call in message.tool_calls]
    return turn


def _tool_call(call: pb.ToolCall, protect: Change, call_id: Change) -> Mapping[str, Any]:
    arguments: Any = protect(call.arguments)
    # Templates write the arguments with `tojson`, so they want the value and not its text.
    with suppress(ValueError, RecursionError):
        arguments = json.loads(arguments)
    return {
        "id": call_id(call.id),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _mistral_id(text: str) -> str:
    """Return what stands for an id in Mistral's templates, which insist on nine characters."""
    return hashlib.sha256(text.encode()).hexdigest()[:9]
