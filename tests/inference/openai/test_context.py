"""Prompts that do not fit, in every server's words: one error, with all the counts it tells."""

from typing import Any

import pytest

from catenary.v1 import embeddings_pb2
from services import errors
from services.errors import MeshError
from services.gateway.openai.embeddings import CreateEmbedding, renamed
from services.gateway.openai.envelope import envelope
from services.link import Call
from tests.inference.openai.conftest import Connect
from tests.inference.openai.failing import failing
from tests.inference.openai.server import FakeServer, answer, stream

CARD = 2048
"""The window that the configuration knows."""


def said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"} | more}


ANSWERS: dict[str, tuple[int, Any, tuple[int, int, int]]] = {
    "vLLM 0.33": (400, said(
        "This model's maximum context length is 4096 tokens. However, you requested 500 output "
        "tokens and your prompt contains 4500 input tokens, for a total of 5000 tokens. Please "
        "reduce the length of the input prompt.", code=400, param="input_tokens",
    ), (4500, 500, 4096)),
    "vLLM 0.33, characters": (400, said(
        "This model's maximum context length is 4096 tokens. However, you requested 500 output "
        "tokens and your prompt contains 90000 characters (more than 57536 characters, which is "
        "the upper bound for 3596 input tokens).", code=400,
    ), (0, 500, 4096)),
    "vLLM 0.15": (400, said(
        "You passed 4500 input tokens and requested 500 output tokens. However, the model's "
        "context length is only 4096 tokens, resulting in a maximum input length of 3596 tokens. "
        "Please reduce the length of the input prompt. (parameter=input_tokens, value=4500)",
    ), (4500, 500, 4096)),
    "vLLM 0.11": (400, said(
        "'max_tokens' or 'max_completion_tokens' is too large: 500. This model's maximum context "
        "length is 4096 tokens and your request has 4500 input tokens (500 > 4096 - 4500).",
        code=400,
    ), (4500, 500, 4096)),
    "vLLM 0.11, prompt": (400, said(
        "This model's maximum context length is 4096 tokens. However, your request has 4500 input "
        "tokens. Please reduce the length of the input messages.", code=400,
    ), (4500, 0, 4096)),
    "vLLM, limit": (400, said(
        "max_tokens=5000cannot be greater than max_model_len=max_total_tokens=4096. "
        "Please request fewer output tokens.",
    ), (0, 5000, 4096)),
    "vLLM's engine": (400, said(
        "The decoder prompt (length 4500) is longer than the maximum model length of 4096. Make "
        "sure that `max_model_len` is no smaller than the number of text tokens.",
    ), (4500, 0, 4096)),
    "older vLLM": (400, {
        "object": "error", "type": "BadRequestError", "code": 400,
        "message": "This model's maximum context length is 4096 tokens. However, you requested "
        "5000 tokens (4500 in the messages, 500 in the completion). Please reduce the length of "
        "the messages or completion.",
    }, (4500, 500, 4096)),
    "SGLang": (400, {
        "object": "error", "type": "BadRequestError", "code": 400,
        "message": "Requested token count exceeds the model's maximum context length of 4096 "
        "tokens. You requested a total of 5000 tokens: 4500 tokens from the input messages and 500 "
        "tokens for the completion. Please reduce the number of tokens in the input messages or "
        "the completion to fit within the limit.",
    }, (4500, 500, 4096)),
    "SGLang, prompt": (400, {
        "object": "error", "code": 400,
        "message": "The input (4500 tokens) is longer than the model's context length (4096 "
        "tokens).",
    }, (4500, 0, 4096)),
    "SGLang's scheduler": (400, said(
        "Input length (4500 tokens) exceeds the maximum allowed length (4096 tokens). Use a "
        "shorter input or enable --allow-auto-truncate.",
    ), (4500, 0, 4096)),
    "TGI": (422, {
        "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. "
        "Given: 4500 `inputs` tokens and 500 `max_new_tokens`", "error_type": "validation",
    }, (4500, 500, 4096)),
    "TGI, prompt": (422, {
        "error": "Input validation error: `inputs` must have less than 4096 tokens. Given: 4500",
        "error_type": "validation",
    }, (4500, 0, 4096)),
    "llama.cpp": (400, said(
        "request (4500 tokens) exceeds the available context size (4096 tokens), try increasing "
        "it", code=400, type="exceed_context_size_error", n_prompt_tokens=4500, n_ctx=4096,
    ), (4500, 0, 4096)),
    "llama.cpp, one slot": (400, said(
        "input (4500 tokens) is larger than the max context size (4096 tokens). skipping",
        code=400, type="exceed_context_size_error", n_prompt_tokens=4500, n_ctx=4096,
    ), (4500, 0, 4096)),
    "older llama.cpp": (400, said(
        "the request exceeds the available context size, try increasing it", code=400,
        type="exceed_context_size_error", n_prompt_tokens=4500, n_ctx=4096,
    ), (4500, 0, 4096)),
    "Ollama on llama.cpp": (400, said(
        "request (4500 tokens) exceeds the available context size (4096 tokens), try increasing it"
    ), (4500, 0, 4096)),
    "Ollama": (400, said(
        "the prompt is longer than the context length currently available to the model"
    ), (0, 0, CARD)),
    "Ollama, texts": (500, said(
        "the input length exceeds the context length", type="api_error"
    ), (0, 0, CARD)),
    "OpenAI": (400, said(
        "This model's maximum context length is 4096 tokens. However, your messages resulted in "
        "4500 tokens. Please reduce the length of the messages.",
        code="context_length_exceeded", param="messages",
    ), (4500, 0, 4096)),
    "OpenAI, with tools": (400, said(
        "This model's maximum context length is 4096 tokens. However, your messages resulted in "
        "4601 tokens (4500 in the messages, 101 in the functions). Please reduce the length of "
        "the messages or functions.", code="context_length_exceeded", param="messages",
    ), (4500, 0, 4096)),
    "OpenAI, of old": (400, said(
        "This model's maximum context length is 4096 tokens, however you requested 5000 tokens "
        "(4500 in your prompt; 500 for the completion). Please reduce your prompt; or completion "
        "length.",
    ), (4500, 500, 4096)),
    "OpenAI, newest": (400, said(
        "Your input exceeds the context window of this model. Please adjust your input and try "
        "again.", code="context_length_exceeded", param="input",
    ), (0, 0, CARD)),
    "OpenVINO Model Server": (400, {
        "error": "Number of prompt tokens: 4500 exceeds model max length: 4096",
    }, (4500, 0, 4096)),
}  # fmt: skip
NAMES = ("input_tokens", "max_output_tokens", "context_window")


async def met(server: FakeServer, connect: Connect, status: int, body: Any) -> MeshError:
    server.scripts.clear()
    server.will(answer(status, body))
    error = await failing(connect())
    assert error.reason_name == "CONTEXT_WINDOW_EXCEEDED"
    assert error.violations[0].field == "messages"
    return error


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_servers_words_with_every_count_that_they_tell(
    server: FakeServer, connect: Connect, name: str
) -> None:
    status, body, counts = ANSWERS[name]
    error = await met(server, connect, status, body)
    told = {key: str(count) for key, count in zip(NAMES, counts, strict=True) if count}
    assert error.metadata == told
    for count in told.values():
        assert count in error.message
    # The next mesh says the same.
    again = await met(server, connect, 400, envelope(error).encode())
    assert (again.message, again.metadata) == (error.message, error.metadata)


async def test_the_words_of_another_mesh_are_this_ones(
    server: FakeServer, connect: Connect
) -> None:
    exceeded = errors.context_window_exceeded(4500, 500, 4096)
    error = await met(server, connect, 400, envelope(exceeded).encode())
    assert (error.message, error.metadata) == (exceeded.message, exceeded.metadata)
    assert error.violations == exceeded.violations


async def test_a_count_that_a_server_did_not_finish_is_told_as_such(
    server: FakeServer, connect: Connect
) -> None:
    words = (
        "This model's maximum context length is 4096 tokens. However, you requested 500 output "
        "tokens and your prompt contains at least 3597 input tokens, for a total of at least 4097 "
        "tokens."
    )
    error = await met(server, connect, 400, said(words))
    assert "a prompt of at least 3597 tokens" in error.message
    again = await met(server, connect, 400, envelope(error).encode())
    assert again.message == error.message


async def test_it_may_be_said_within_a_stream(server: FakeServer, connect: Connect) -> None:
    server.will(*stream(ANSWERS["SGLang, prompt"][1] | {"error": ANSWERS["SGLang, prompt"][1]}))
    error = await failing(connect())
    assert error.metadata == {"input_tokens": "4500", "context_window": "4096"}


async def test_a_text_that_another_mesh_finds_too_long(
    server: FakeServer, connect: Connect
) -> None:
    texts = ["one", "two"]
    too_long = errors.text_too_long(1, 600, 256)
    told = renamed(too_long, CreateEmbedding(model="theirs", input=[*texts]))
    server.will(answer(400, envelope(told).encode()))
    with pytest.raises(MeshError) as raised:
        await connect().embed(embeddings_pb2.EmbedRequest(model="pocket", texts=texts), Call("r1"))
    assert (raised.value.message, raised.value.metadata) == (too_long.message, too_long.metadata)
    assert raised.value.violations == too_long.violations


@pytest.mark.parametrize(
    "words",
    [
        "This model supports at most 4096 completion tokens, whereas you provided 5000.",
        "Request too large for theirs on tokens per min (TPM): Limit 30000, Requested 45000.",
        "messages[0]: context is required",
    ],
)
async def test_what_is_no_matter_of_the_window(
    server: FakeServer, connect: Connect, words: str
) -> None:
    server.will(answer(400, said(words)))
    assert (await failing(connect())).reason_name == "INVALID_REQUEST"
