"""The events of a stream as one OpenAI completion."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.errors import MeshError
from services.gateway.openai.completion import Completion
from tests.fakes import (
    CONTENT_FILTER,
    LENGTH,
    STOP,
    TOOL_CALLS,
    answer,
    delta,
    finished,
    inference_decision,
    started,
)
from tests.gateway.parts import a_token


def completed(*events: pb.GenerateResponse) -> dict[str, Any]:
    completion = Completion(1_700_000_000)
    for event in events:
        completion.add(event)
    body: dict[str, Any] = json.loads(completion.encode())
    return body


def test_a_completion() -> None:
    end = finished()
    end.finished.usage.MergeFrom(message_pb2.Usage(cached_input_tokens=1, reasoning_tokens=2))
    assert completed(started("alias"), delta("Hel"), delta("lo"), end) == {
        "id": "chatcmpl-r-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "pocket",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }


def test_choices_are_told_apart() -> None:
    reasons = (STOP, LENGTH, CONTENT_FILTER)
    body = completed(
        started(), delta("b", choice=1), delta("a"), delta("B", choice=1), finished(*reasons)
    )
    assert [choice["message"]["content"] for choice in body["choices"]] == ["a", "bB", ""]
    ends = [choice["finish_reason"] for choice in body["choices"]]
    assert ends == ["stop", "length", "content_filter"]


def test_tool_calls_are_put_together() -> None:
    pieces = [
        pb.ToolCallDelta(index=0, id="c1", name="look", arguments='{"a'),
        pb.ToolCallDelta(index=1, id="c2", name="stop"),
        pb.ToolCallDelta(index=0, arguments='":1}'),
    ]
    deltas = [pb.GenerateResponse(delta=pb.Delta(tool_calls=[piece])) for piece in pieces]
    choice = completed(started(), *deltas, finished(TOOL_CALLS))["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "stop", "arguments": ""}},
    ]


def test_thought_and_logprobs() -> None:
    token = a_token("a", -0.5)
    thinking = pb.GenerateResponse(delta=pb.Delta(reasoning="Hm."))
    saying = pb.GenerateResponse(delta=pb.Delta(text="a", logprobs=[token]))
    choice = completed(started(), thinking, saying, finished())["choices"][0]
    assert choice["message"]["reasoning_content"] == "Hm."
    content = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    assert choice["logprobs"] == {"content": content, "refusal": None}


def test_decisions_are_listed() -> None:
    body = completed(started(), inference_decision(), delta("a"), finished())
    assert body["catenary"] == {
        "decisions": [{"inference": {"model": "pocket", "input_tokens": 3}}]
    }


def test_an_answer_without_end_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.openai.completion._MAX_BYTES", 1000)
    completion = Completion(1_700_000_000)
    for _ in range(9):
        completion.add(delta("x" * 100))
    with pytest.raises(MeshError, match="ask for a stream") as caught:
        completion.add(delta("x" * 100))
    assert caught.value.reason_name == "UPSTREAM_FAILED"


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_the_text_is_whole_wherever_it_is_cut(texts: list[str]) -> None:
    events = [event for event in answer(*texts) if isinstance(event, pb.GenerateResponse)]
    assert completed(*events)["choices"][0]["message"]["content"] == "".join(texts)
