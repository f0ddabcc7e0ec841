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
from tests.fakes import delta, finished, inference_decision, started
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
