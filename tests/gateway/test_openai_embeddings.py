"""`POST /v1/embeddings`: bodies in, bodies out, and OpenAI's errors."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from typing import Any

import grpc
import httpx2
import openai
import pytest
from google.api.httpbody_pb2 import HttpBody
from hypothesis import given
from hypothesis import strategies as st

from catenary.v1 import embeddings_pb2 as pb
from catenary.v1 import message_pb2, openai_pb2_grpc
from services import errors
from services.gateway.openai.decode import decode_embedding
from services.gateway.openai.embeddings import encode, to_request
from tests.fakes import Answering, Scripted
from tests.gateway.parts import serve


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "minilm", "input": "hello"} | fields).encode()


async def post(channel: grpc.aio.Channel, data: bytes) -> dict[str, Any]:
    reply = await openai_pb2_grpc.OpenAIStub(channel).CreateEmbedding(HttpBody(data=data))
    assert reply.content_type == "application/json"
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


async def refusal(channel: grpc.aio.Channel, data: bytes) -> dict[str, Any]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await post(channel, data)
    error: dict[str, Any] = json.loads(
        str(dict(caught.value.trailing_metadata())["x-catenary-error"])
    )["error"]
    return error


async def test_a_text(closing: AsyncExitStack) -> None:
    channel = await serve(Scripted([]), closing)
    assert await post(channel, body(user="someone")) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [5.0, pytest.approx(0.1)]}],
        "model": "minilm",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }


async def test_texts_in_their_order(closing: AsyncExitStack) -> None:
    channel = await serve(Scripted([]), closing)
    answered = await post(channel, body(input=["abc", "a", "ab"], encoding_format="float"))
    assert [(one["index"], one["embedding"][0]) for one in answered["data"]] == [
        *((0, 3), (1, 1), (2, 2))
    ]


async def test_base64_is_float32_little_endian(closing: AsyncExitStack) -> None:
    channel = await serve(Scripted([]), closing)
    answered = await post(channel, body(input="ab", encoding_format="base64"))
    assert answered["data"][0]["embedding"] == "AAAAQM3MzD0="


async def test_dimensions_are_asked_for(closing: AsyncExitStack) -> None:
    upstream = Answering()
    channel = await serve(Scripted([]), closing, upstream)
    await post(channel, body(dimensions=64))
    await post(channel, body(dimensions=None))
    assert upstream.requests[0].dimensions == 64
    assert not upstream.requests[1].HasField("dimensions")


@pytest.mark.parametrize(
    ("changed", "message", "param"),
    [
        ({"input": [1, 2]}, "must be a string or a list of strings: tokens are not", "input"),
        ({"input": [[1], [2]]}, "must be a string or a list of strings: tokens are not", "input"),
        ({"input": ["a", 1]}, "must be a string or a list of strings: tokens are not", "input"),
        ({"input": ""}, "input: must be at least 1 characters", "input"),
        ({"input": ["a", ""]}, "input[1]: must be at least 1 characters", "input[1]"),
        ({"input": []}, "input: must contain at least 1 item(s)", "input"),
        ({"input": ["a"] * 2049}, "input: must contain no more than 2048 item(s)", "input"),
        ({"input": 1}, "must be a string or a list", "input"),
        ({"encoding_format": "hex"}, "must be 'float' or 'base64'", "encoding_format"),
        ({"dimensions": 0}, "dimensions: must be greater than or equal to 1", "dimensions"),
        ({"model": ""}, "model: must be at least 1 characters", "model"),
        ({"truncate": True}, "Unrecognized request argument supplied: truncate", "truncate"),
    ],
)
async def test_a_bad_body_is_refused_by_name(
    closing: AsyncExitStack, changed: dict[str, Any], message: str, param: str
) -> None:
    upstream = Answering()
    channel = await serve(Scripted([]), closing, upstream)
    error = await refusal(channel, body(**changed))
    assert message in error["message"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert upstream.requests == []


async def test_a_text_that_is_too_long_is_named_as_the_caller_wrote_it(
    closing: AsyncExitStack,
) -> None:
    channel = await serve(Scripted([]), closing, Answering(errors.text_too_long(0, 300, 256)))
    says = "has 300 tokens, but the model reads at most 256"
    for given_, param in (("long", "input"), (["long"], "input[0]")):
        assert await refusal(channel, body(input=given_)) == {
            "message": f"{param}: {says}",
            "type": "invalid_request_error",
            "param": param,
            "code": "context_length_exceeded",
        }


async def test_a_defect_tells_nothing_of_itself(
    closing: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    channel = await serve(Scripted([]), closing, Answering(ZeroDivisionError("secret")))
    error = await refusal(channel, body())
    assert error["code"] == "internal"
    assert "secret" not in error["message"]
    assert "secret" in caplog.text


async def test_a_client_who_leaves_cancels_the_work(closing: AsyncExitStack) -> None:
    upstream = Answering(release=asyncio.Event())
    channel = await serve(Scripted([]), closing, upstream)
    call = openai_pb2_grpc.OpenAIStub(channel).CreateEmbedding(HttpBody(data=body()))
    await upstream.begun.wait()
    call.cancel()
    await upstream.cancelled.wait()


@pytest.mark.parametrize("form", ["float", "base64", openai.NOT_GIVEN])
def test_the_openai_package_reads_it(form: Any) -> None:
    """Left to itself, the package asks for base64."""
    values = [0.25, -1.0, 1e-7]

    def answered(request: httpx2.Request) -> httpx2.Response:
        asked = decode_embedding(request.content)
        usage = message_pb2.Usage(input_tokens=2)
        vectors = [pb.Embedding(values=values) for _ in to_request(asked).texts]
        response = pb.EmbedResponse(embeddings=vectors, usage=usage, served_model="minilm")
        return httpx2.Response(200, content=encode(response, asked))

    http = httpx2.Client(transport=httpx2.MockTransport(answered))
    with openai.OpenAI(api_key="none", base_url="http://mesh/v1", http_client=http) as mesh:
        read = mesh.embeddings.create(model="minilm", input=["a", "b"], encoding_format=form)
    assert read.usage.prompt_tokens == 2
    assert [one.index for one in read.data] == [0, 1]
    if form == "base64":
        assert isinstance(read.data[1].embedding, str)
    else:
        assert read.data[1].embedding == pytest.approx(values)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_a_body_or_is_refused(value: Any) -> None:
    for data in (value, {"model": "m", "input": value}, {"model": value, "input": "a"}):
        with suppress(errors.MeshError):
            to_request(decode_embedding(json.dumps(data).encode()))
