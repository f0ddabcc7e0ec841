"""`continue_final_message`: the last turn is the beginning of the answer, as vLLM has it."""

from catenary.v1 import generation_pb2 as pb
from services import errors
from services.errors import MeshError
from services.gateway.openai.body import (
    AssistantMessage,
    ChatCompletion,
    RefusalPart,
    TextPart,
)


def continuation(chat: ChatCompletion) -> pb.Continuation | None:
    """Return what the last turn has said already; None where the answer is a turn of its own.

    Raises:
        MeshError: INVALID_REQUEST, for a turn that cannot be gone on with.
    """
    if not chat.continue_final_message:
        if chat.add_generation_prompt is False:
            description = "may be false only where continue_final_message is true"
            raise errors.invalid_field("add_generation_prompt", description)
        return None
    if chat.add_generation_prompt:
        description = "must not be true where continue_final_message is"
        raise errors.invalid_field("add_generation_prompt", description)
    if not chat.messages[:-1]:
        description = "must hold a turn before the one that is continued"
        raise errors.invalid_field("messages", description)
    turn, path = chat.messages[-1], f"messages[{len(chat.messages) - 1}]"
    if not isinstance(turn, AssistantMessage):
        description = "must be 'assistant' where continue_final_message is true"
        raise errors.invalid_field(f"{path}.role", description)
    return pb.Continuation(text=_text(turn, path), reasoning=turn.reasoning_content or "")


def _text(turn: AssistantMessage, path: str) -> str:
    for name in ("name", "refusal", "tool_calls"):
        if getattr(turn, name):
            raise _not_continued(f"{path}.{name}")
    if isinstance(turn.content, str):
        return turn.content
    texts = []
    for index, part in enumerate(turn.content or ()):
        match part:
            case TextPart(text):
                texts.append(text)
            case RefusalPart():
                raise _not_continued(f"{path}.content[{index}].refusal")
    return "".join(texts)


def _not_continued(field: str) -> MeshError:
    return errors.invalid_field(field, "must not be there in a turn that is continued")
