"""The conversation in OpenAI's form."""

import base64
from collections.abc import Sequence
from typing import Any

from catenary.v1 import message_pb2 as pb
from services import errors
from services.inference.openai.dialect import Dialect

_ROLES = {
    pb.ROLE_SYSTEM: "system",
    pb.ROLE_USER: "user",
    pb.ROLE_ASSISTANT: "assistant",
    pb.ROLE_TOOL: "tool",
}


def messages(turns: Sequence[pb.Message], model: str, dialect: Dialect) -> list[dict[str, Any]]:
    """Return the conversation's messages.

    Raises:
        MeshError: UNSUPPORTED for media that the server cannot look at.
    """
    return [_message(turn, f"messages[{i}]", model, dialect) for i, turn in enumerate(turns)]


def continued(text: str, thought: str, dialect: Dialect) -> dict[str, Any]:
    """Return the message of the assistant's that the server is to go on with."""
    message = {"role": "assistant", "content": text}
    if thought and dialect.thoughts:
        message[dialect.thoughts] = thought
    return message


def _message(turn: pb.Message, path: str, model: str, dialect: Dialect) -> dict[str, Any]:
    message: dict[str, Any] = {"role": _ROLES[turn.role], "content": ""}
    if any(part.HasField("media") for part in turn.content):
        message["content"] = [
            _part(part, f"{path}.content[{index}]", model, dialect)
            for index, part in enumerate(turn.content)
            if not part.HasField("reasoning")
        ]
    else:
        # One text, since many servers know no parts, or put something between them.
        message["content"] = "".join(part.text or part.refusal for part in turn.content)
    thought = "".join(part.reasoning for part in turn.content)
    if thought and dialect.thoughts:
        message[dialect.thoughts] = thought
    if turn.name:
        message["name"] = turn.name
    if turn.tool_call_id:
        message["tool_call_id"] = turn.tool_call_id
    if turn.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in turn.tool_calls]
        message["content"] = message["content"] or None
    return message


def _part(part: pb.ContentPart, path: str, model: str, dialect: Dialect) -> dict[str, Any]:
    if not part.HasField("media"):
        return {"type": "text", "text": part.text or part.refusal}
    media = part.media
    field = f"{path}.media"
    if not media.media_type.startswith("image/") and (media.media_type or not media.url):
        raise errors.unsupported(field, model, "the server is given text and pictures only")
    url = media.url
    if not url:
        url = f"data:{media.media_type};base64,{base64.b64encode(media.data).decode()}"
    if not url.startswith(dialect.media):
        raise errors.unsupported(field, model, "the server is given pictures in full only")
    image = {"url": url}
    if media.detail:
        image["detail"] = media.detail
    return {"type": "image_url", "image_url": image}


def _tool_call(call: pb.ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
