"""`continue_final_message`: what a body that ends in the model's own words means."""

from typing import Any

import pytest

from catenary.v1 import generation_pb2 as pb
from services import errors
from services.errors import MeshError
from services.gateway.openai.decode import decode
from services.gateway.openai.params import renamed
from services.gateway.openai.request import to_request
from services.gateway.validation import check_generate
from tests.gateway.bodies import GOOD, body

USER = GOOD["messages"][0]


def continued(turn: dict[str, Any], **fields: Any) -> bytes:
    fields = {"continue_final_message": True, "add_generation_prompt": False, **fields}
    return body(messages=[USER, {"role": "assistant", **turn}], **fields)


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ({"content": "It is "}, pb.Continuation(text="It is ")),
        (
            {"content": [{"type": "text", "text": "It "}, {"type": "text", "text": "is "}]},
            pb.Continuation(text="It is "),
        ),
        (
            {"content": "It", "reasoning_content": "Hm."},
            pb.Continuation(text="It", reasoning="Hm."),
        ),
        ({"content": None, "reasoning_content": "Hm"}, pb.Continuation(reasoning="Hm")),
        # A client that goes on with what has come may have nothing yet.
        ({"content": "", "refusal": None, "tool_calls": None}, pb.Continuation()),
    ],
)
def test_the_last_turn_is_what_was_said(turn: dict[str, Any], expected: pb.Continuation) -> None:
    request = to_request(decode(continued(turn)))
    assert request.continuation == expected
    assert [each.content[0].text for each in request.messages] == [USER["content"]]
    check_generate(request)


def test_without_it_the_last_turn_is_a_turn_like_others() -> None:
    turns = [USER, {"role": "assistant", "content": "It is"}]
    for fields in ({}, {"continue_final_message": False}, {"add_generation_prompt": True}):
        request = to_request(decode(body(messages=turns, **fields)))
        assert len(request.messages) == 2
        assert not request.HasField("continuation")


def test_the_generation_prompt_may_be_left_unsaid() -> None:
    data = continued({"content": "It"}, add_generation_prompt=None)
    assert to_request(decode(data)).continuation.text == "It"


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
REFUSED: list[tuple[bytes, str]] = [
    (continued({"content": "It"}, add_generation_prompt=True), "add_generation_prompt"),
    (body(add_generation_prompt=False), "add_generation_prompt"),
    (body(messages=[USER, USER], continue_final_message=True), "messages[1].role"),
    (
        body(messages=[{"role": "assistant", "content": "It"}], continue_final_message=True),
        "messages",
    ),
    (body(messages=[], continue_final_message=True), "messages"),
    (continued({"content": "It", "tool_calls": [CALL]}), "messages[1].tool_calls"),
    (continued({"content": "It", "refusal": "No"}), "messages[1].refusal"),
    (continued({"content": "It", "name": "bob"}), "messages[1].name"),
    (
        continued({"content": [{"type": "refusal", "refusal": "No"}]}),
        "messages[1].content[0].refusal",
    ),
]


@pytest.mark.parametrize(("data", "param"), REFUSED, ids=[param for _, param in REFUSED])
def test_what_cannot_be_gone_on_with_is_refused(data: bytes, param: str) -> None:
    with pytest.raises(MeshError) as caught:
        to_request(decode(data))
    assert caught.value.violations[0].field == param


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("continuation", "continue_final_message"),
        ("continuation.reasoning", "messages[1].reasoning_content"),
        ("continuation.text", "messages[1].content"),
    ],
)
def test_errors_of_links_behind_name_the_turn(field: str, param: str) -> None:
    chat = decode(continued({"content": "It", "reasoning_content": "Hm"}))
    error = renamed(errors.unsupported(field, "pocket", "is unknown"), chat)
    assert str(error) == f"{param}: is unknown"
