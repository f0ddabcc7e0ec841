"""What the `openai` package makes of the gateway's bodies."""

from collections.abc import Sequence

import httpx2
import openai
import pytest

from catenary.v1 import generation_pb2 as pb
from services import errors
from services.gateway.openai.chunks import Chunks, failed
from services.gateway.openai.completion import Completion
from services.gateway.openai.envelope import envelope
from tests.fakes import TOOL_CALLS, delta, finished, inference_decision, started
from tests.gateway.parts import a_token

QUESTION: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


def client(status: int, content_type: str, data: bytes) -> openai.OpenAI:
    """A client whose every request is answered with these bytes."""
    response = httpx2.Response(status, headers={"content-type": content_type}, content=data)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: response))
    return openai.OpenAI(api_key="none", base_url="http://mesh/v1", http_client=http, max_retries=0)


def streamed(*events: pb.GenerateResponse) -> bytes:
    chunks = Chunks(1_700_000_000, include_usage=True)
    return b"".join(map(chunks.encode, events))


def with_tools() -> Sequence[pb.GenerateResponse]:
    calls = [
        pb.ToolCallDelta(index=0, id="c1", name="look", arguments='{"a'),
        pb.ToolCallDelta(index=0, arguments='":1}'),
    ]
    token = a_token("Hi", -0.5, a_token("Ho", -1.5))
    rich = pb.GenerateResponse(delta=pb.Delta(text="Hi", tool_calls=calls, logprobs=[token]))
    return [started(), inference_decision(), rich, delta(" there"), finished()]


def test_it_reads_a_stream() -> None:
    with (
        client(200, "text/event-stream", streamed(*with_tools())) as mesh,
        mesh.chat.completions.stream(model="pocket", messages=QUESTION) as stream,
    ):
        completion = stream.get_final_completion()
    choice = completion.choices[0]
    assert completion.id == "chatcmpl-r-1"
    assert choice.message.content == "Hi there"
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].function.name == "look"
    assert choice.message.tool_calls[0].function.arguments == '{"a":1}'
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert choice.logprobs.content[0].top_logprobs[0].bytes == [72, 111]
    assert choice.finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 5


def test_it_reads_a_completion() -> None:
    gathered = Completion(1_700_000_000)
    for event in with_tools():
        gathered.add(event)
    with client(200, "application/json", gathered.encode()) as mesh:
        completion = mesh.chat.completions.create(model="pocket", messages=QUESTION)
    assert completion.choices[0].message.content == "Hi there"
    assert completion.model_extra == {
        "catenary": {"decisions": [{"inference": {"model": "pocket", "input_tokens": 3}}]}
    }


def thinking_and_calling() -> Sequence[pb.GenerateResponse]:
    """Thoughts, then two calls in pieces, as the inference link tells them."""
    deltas = [
        pb.Delta(reasoning="It may ", output_tokens=1),
        pb.Delta(reasoning="rain.", output_tokens=1),
        pb.Delta(tool_calls=[pb.ToolCallDelta(index=0, id="call_a", name="look")]),
        pb.Delta(tool_calls=[pb.ToolCallDelta(index=0, arguments='{"at": ')]),
        pb.Delta(
            tool_calls=[
                pb.ToolCallDelta(index=0, arguments="1}"),
                pb.ToolCallDelta(index=1, id="call_b", name="clock", arguments="{}"),
            ]
        ),
    ]
    events = [pb.GenerateResponse(delta=delta) for delta in deltas]
    return [started(), *events, finished(TOOL_CALLS)]


def test_it_reads_thoughts_and_calls_from_a_stream() -> None:
    with (
        client(200, "text/event-stream", streamed(*thinking_and_calling())) as mesh,
        mesh.chat.completions.create(model="pocket", messages=QUESTION, stream=True) as stream,
    ):
        chunks = [chunk.choices[0] for chunk in stream if chunk.choices]
    thoughts = [getattr(chunk.delta, "reasoning_content", None) or "" for chunk in chunks]
    assert "".join(thoughts) == "It may rain."
    calls = [call for chunk in chunks for call in chunk.delta.tool_calls or ()]
    assert [(call.index, call.id) for call in calls if call.id] == [(0, "call_a"), (1, "call_b")]
    assert [call.function.name for call in calls if call.function and call.id] == ["look", "clock"]
    written = [call.function.arguments or "" for call in calls if call.function and not call.index]
    assert "".join(written) == '{"at": 1}'
    assert chunks[-1].finish_reason == "tool_calls"


def test_it_reads_thoughts_and_calls_from_a_completion() -> None:
    gathered = Completion(1_700_000_000)
    for event in thinking_and_calling():
        gathered.add(event)
    with client(200, "application/json", gathered.encode()) as mesh:
        (choice,) = mesh.chat.completions.create(model="pocket", messages=QUESTION).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.model_extra == {"reasoning_content": "It may rain."}
    functions = [
        call.function for call in choice.message.tool_calls or () if call.type == "function"
    ]
    assert [(each.name, each.arguments) for each in functions] == [
        ("look", '{"at": 1}'),
        ("clock", "{}"),
    ]


def test_it_raises_an_error_that_comes_in_the_stream() -> None:
    data = streamed(started(), delta("Hi")) + failed(errors.upstream_failed("triton"))
    with client(200, "text/event-stream", data) as mesh:
        stream = mesh.chat.completions.create(model="pocket", messages=QUESTION, stream=True)
        with pytest.raises(openai.APIError, match="triton failed") as caught:
            list(stream)
    assert caught.value.code == "upstream_failed"


def test_it_raises_an_error_that_comes_before() -> None:
    data = envelope(errors.model_not_found("gpt-7")).encode()
    with (
        client(404, "application/json", data) as mesh,
        pytest.raises(openai.NotFoundError) as caught,
    ):
        mesh.chat.completions.create(model="gpt-7", messages=QUESTION)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
