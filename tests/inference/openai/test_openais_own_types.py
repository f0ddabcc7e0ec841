"""OpenAI's own client agrees on what is sent, and on what the fake server streams."""

import json

from openai.types.chat import ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter

from catenary.v1 import message_pb2
from services.inference.openai.chat import chat
from services.inference.openai.dialect import DIALECTS
from tests.inference.asking import asking
from tests.inference.openai.server import chunk, usage


def test_all_that_openai_is_sent_is_in_its_api() -> None:
    request = asking(
        max_output_tokens=5, temperature=0.5, top_p=0.5, presence_penalty=1, frequency_penalty=1,
        seed=7, stop=["END"], n=2, logprobs=3, logit_bias={5: 1.0},
    )  # fmt: skip
    request.messages.add(role=message_pb2.ROLE_ASSISTANT).tool_calls.add(id="c", name="f")
    request.messages.add(role=message_pb2.ROLE_TOOL, tool_call_id="c").content.add(text="1")
    picture = request.messages[0].content.add().media
    picture.media_type, picture.data, picture.detail = "image/png", b"\x89PNG", "low"
    request.tools.add(name="f", parameters_schema='{"type": "object"}', strict=True)
    request.tool_choice.mode = message_pb2.ToolChoice.MODE_NAMED
    request.tool_choice.name = "f"
    request.parallel_tool_calls = False
    request.response_format.json_schema.schema = json.dumps({"type": "object"})
    body = chat(request, "gpt-5", DIALECTS["openai"])
    assert body.keys() <= CompletionCreateParamsStreaming.__annotations__.keys() | {"model"}
    adapter = TypeAdapter(CompletionCreateParamsStreaming)
    read = adapter.dump_python(adapter.validate_python(body))
    assert json.loads(json.dumps(read, default=list)) == body


def test_what_the_fake_server_streams_is_a_stream_of_openais() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    logprob = {"token": "a", "bytes": [97], "logprob": -1.0, "top_logprobs": []}
    for given in (
        chunk({"role": "assistant", "content": "a"}, logprobs={"content": [logprob]}),
        chunk({"tool_calls": [call]}),
        chunk(finish_reason="stop"),
        usage(3, 1) | {"usage": usage(3, 1)["usage"] | {"total_tokens": 4}},
    ):
        whole = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"} | given
        ChatCompletionChunk.model_validate(whole)
