"""The events of a stream as OpenAI's server-sent events."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.v1 import generation_pb2 as pb
from services.errors import upstream_failed
from services.gateway.openai.chunks import Chunks, failed
from tests.fakes import LENGTH, STOP, delta, finished, inference_decision, started
from tests.gateway.bodies import read
from tests.gateway.parts import a_token

CREATED = 1_700_000_000


def encoded(*events: pb.GenerateResponse, include_usage: bool = False) -> list[bytes]:
    chunks = Chunks(CREATED, include_usage=include_usage)
    return [chunks.encode(event) for event in events]


def chunk(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-r-1",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "pocket",
        "choices": list(choices),
        **more,
    }


def choice(said: dict[str, Any], reason: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "delta": said, "logprobs": None, "finish_reason": reason}


OPENING = {"role": "assistant", "content": "", "refusal": None}
USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "total_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}


def test_a_stream() -> None:
    assert read(*encoded(started(), delta("Hel"), delta("lo"), finished())) == [
        chunk(choice(OPENING)),
        chunk(choice({"content": "Hel"})),
        chunk(choice({"content": "lo"})),
        chunk(choice({}, "stop")),
        "data: [DONE]",
    ]


def test_usage_comes_last_and_is_null_before() -> None:
    events = read(*encoded(started(), delta("Hi"), finished(), include_usage=True))
    assert events == [
        chunk(choice(OPENING), usage=None),
        chunk(choice({"content": "Hi"}), usage=None),
        chunk(choice({}, "stop"), usage=None),
        chunk(usage=USAGE),
        "data: [DONE]",
    ]


def test_nothing_is_sent_before_the_first_delta() -> None:
    opened, decided, first, *_ = encoded(started(), inference_decision(), delta("Hi"), finished())
    assert opened == decided == b""
    told = {"decision": {"inference": {"model": "pocket", "input_tokens": 3}}}
    assert read(first) == [
        chunk(catenary=told),
        chunk(choice(OPENING)),
        chunk(choice({"content": "Hi"})),
    ]


def test_a_later_decision_is_sent_at_once() -> None:
    *_, decided, last = encoded(started(), delta("Hi"), inference_decision(), finished())
    assert read(decided)[0]["catenary"]["decision"]["inference"]["input_tokens"] == 3
    assert len(read(last)) == 2


def test_an_empty_completion_still_opens_its_choice() -> None:
    assert read(*encoded(started(), finished())) == [
        chunk(choice(OPENING)),
        chunk(choice({}, "stop")),
        "data: [DONE]",
    ]


def test_each_choice_opens_and_ends() -> None:
    events = read(
        *encoded(started(), delta("a"), delta("b", choice=1), delta("c"), finished(STOP, LENGTH))
    )
    assert events[:-1] == [
        chunk(choice(OPENING)),
        chunk(choice({"content": "a"})),
        chunk(choice(OPENING, index=1)),
        chunk(choice({"content": "b"}, index=1)),
        chunk(choice({"content": "c"})),
        chunk(choice({}, "stop")),
        chunk(choice({}, "length", index=1)),
    ]


def test_tool_calls_thought_and_logprobs() -> None:
    top = a_token("b", float("-inf"))
    rich = pb.Delta(
        text="é",
        reasoning="Hm.",
        tool_calls=[
            pb.ToolCallDelta(index=0, id="c1", name="look", arguments='{"a'),
            pb.ToolCallDelta(index=0, arguments='":1}'),
        ],
        logprobs=[a_token("é", -0.5, top)],
    )
    event = read(*encoded(started(), pb.GenerateResponse(delta=rich)))[1]["choices"][0]
    assert event["delta"] == {
        "reasoning_content": "Hm.",
        "content": "é",
        "tool_calls": [
            {
                "index": 0,
                "id": "c1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"a'},
            },
            {"index": 0, "function": {"arguments": '":1}'}},
        ],
    }
    rival = {"token": "b", "logprob": -9999.0, "bytes": [98]}
    token = {"token": "é", "logprob": -0.5, "bytes": [0xC3, 0xA9], "top_logprobs": [rival]}
    assert event["logprobs"] == {"content": [token], "refusal": None}


def test_the_end_names_the_model_that_served() -> None:
    end = finished()
    end.finished.served_model = "other"
    models = [event["model"] for event in read(*encoded(started(), delta("a"), end))[:-1]]
    assert models == ["pocket", "pocket", "other"]


def test_an_error_ends_the_stream_without_done() -> None:
    assert read(failed(upstream_failed("triton"))) == [
        {
            "error": {
                "message": "triton failed while it worked on the request",
                "type": "server_error",
                "param": None,
                "code": "upstream_failed",
            }
        }
    ]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.booleans())
def test_the_pieces_make_up_the_text_wherever_it_is_cut(
    texts: list[str],
    include_usage: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    bodies = encoded(started(), *map(delta, texts), finished(), include_usage=include_usage)
    chunks = read(*bodies)[:-1]
    said = [piece for one in chunks for piece in one["choices"]]
    assert "".join(piece["delta"].get("content", "") for piece in said) == "".join(texts)
    assert [piece["finish_reason"] for piece in said if piece["finish_reason"]] == ["stop"]
    assert len({one["id"] for one in chunks}) == 1
