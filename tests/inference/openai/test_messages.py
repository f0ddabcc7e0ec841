"""Conversations in OpenAI's form, and the media in them."""

from typing import Any

import pytest

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.errors import MeshError
from services.inference.openai.dialect import DIALECTS
from services.inference.openai.messages import messages
from tests.inference.asking import asking

PNG = b"\x89PNG"


def written(request: pb.GenerateRequest, kind: str) -> list[dict[str, Any]]:
    return messages(request.messages, "pocket", DIALECTS[kind])


def conversation() -> pb.GenerateRequest:
    request = asking()
    del request.messages[:]
    part, message = message_pb2.ContentPart, message_pb2.Message
    call = message_pb2.ToolCall(id="c1", name="f", arguments='{"a": 1}')
    request.messages.extend(
        [
            message(role=message_pb2.ROLE_SYSTEM, content=[part(text="Be"), part(text=" kind")]),
            message(role=message_pb2.ROLE_USER, name="Ann", content=[part(text="Hi")]),
            message(
                role=message_pb2.ROLE_ASSISTANT,
                content=[part(reasoning="Hm"), part(refusal="No")],
            ),
            message(role=message_pb2.ROLE_ASSISTANT, tool_calls=[call]),
            message(role=message_pb2.ROLE_TOOL, tool_call_id="c1", content=[part(text="1")]),
        ]
    )
    return request


@pytest.mark.parametrize(
    ("kind", "thoughts"),
    [("openai", None), ("vllm", "reasoning"), ("sglang", "reasoning_content")],
)
def test_a_conversation(kind: str, thoughts: str | None) -> None:
    function = {"name": "f", "arguments": '{"a": 1}'}
    assert written(conversation(), kind) == [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "Hi", "name": "Ann"},
        {"role": "assistant", "content": "No"} | ({thoughts: "Hm"} if thoughts else {}),
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "1", "tool_call_id": "c1"},
    ]


def test_pictures_go_along_in_full() -> None:
    request = asking("What is this?")
    request.messages[0].content.add().media.MergeFrom(
        message_pb2.Media(media_type="image/png", data=PNG, detail="low")
    )
    (message,) = written(request, "vllm")
    url = {"url": "data:image/png;base64,iVBORw==", "detail": "low"}
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": url},
    ]


@pytest.mark.parametrize(
    ("kind", "media"),
    [
        ("openai", message_pb2.Media(media_type="audio/wav", data=PNG)),
        ("openai", message_pb2.Media(data=PNG)),
        # A server of one's own would fetch what only it can reach.
        ("vllm", message_pb2.Media(url="http://169.254.169.254/secret.png")),
    ],
)
def test_media_that_stay_here(kind: str, media: message_pb2.Media) -> None:
    request = asking()
    request.messages[0].content.add().media.MergeFrom(media)
    with pytest.raises(MeshError) as raised:
        written(request, kind)
    assert (raised.value.reason_name, raised.value.violations[0].field) == (
        "UNSUPPORTED",
        "messages[0].content[1].media",
    )
