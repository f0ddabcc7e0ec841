"""Servers that fail: one clear error for the request that it hits, and none for the next."""

import asyncio
import logging
import time
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services import errors
from services.errors import MeshError
from services.gateway.openai.envelope import envelope
from tests.inference.asking import ask, asking
from tests.inference.openai.conftest import Connect
from tests.inference.openai.failing import counted, failing
from tests.inference.openai.server import (
    HEAD,
    LAST_CHUNK,
    FakeServer,
    Step,
    answer,
    chunk,
    event,
    piece,
    said,
    stream,
)

WORDS = "the prompt in the server's words"
HELLO = piece(event(chunk({"content": "Hello"})))


def openai_error(**given: Any) -> dict[str, Any]:
    return {"error": {"message": WORDS, "type": "some_error"} | given}


REFUSED = ("INVALID_REQUEST", "refused")
UNREACHABLE = ("UPSTREAM_UNREACHABLE", "unreachable")
FULL = ("QUEUE_FULL", "limited")
BROKEN = ("STREAM_BROKEN", "broken")
GARBAGE = ("UPSTREAM_FAILED", "garbage")
FAILED = ("UPSTREAM_FAILED", "failed")

ANSWERS: dict[str, tuple[bytes, tuple[str, str]]] = {
    "400": (answer(400, openai_error()), REFUSED),
    "400 without a word": (answer(400), REFUSED),
    "400 of vLLM's older form": (answer(400, {"object": "error", "message": WORDS}), REFUSED),
    "422 of FastAPI": (answer(422, {"detail": [{"loc": ["body"], "msg": WORDS}]}), REFUSED),
    "422 of TGI": (answer(422, {"error": WORDS, "error_type": "validation"}), REFUSED),
    "413": (answer(413, "too much"), REFUSED),
    "content": (answer(400, openai_error(code="content_filter")), ("PROMPT_BLOCKED", "refused")),
    "content, of another mesh": (
        answer(403, openai_error(code="content_filter", type="permission_error")),
        ("PROMPT_BLOCKED", "refused"),
    ),
    "401": (answer(401, openai_error()), ("UPSTREAM_FAILED", "unauthorised")),
    "403": (answer(403, openai_error()), ("UPSTREAM_FAILED", "unauthorised")),
    "no money": (
        answer(429, openai_error(code="insufficient_quota")), ("UPSTREAM_FAILED", "unauthorised"),
    ),
    "404 of the model": (
        answer(404, openai_error(code="model_not_found")), ("MODEL_NOT_FOUND", "failed"),
    ),
    "404 of the path": (answer(404, b"<html>nothing here</html>"), FAILED),
    "408": (answer(408), ("UPSTREAM_FAILED", "timed_out")),
    "504": (answer(504), ("UPSTREAM_FAILED", "timed_out")),
    "429": (answer(429, openai_error()), FULL),
    "529": (answer(529, openai_error(type="overloaded_error")), FULL),
    "500": (answer(500, b"Traceback (most recent call last)"), FAILED),
    "501": (answer(501, openai_error()), ("UNSUPPORTED", "refused")),
    "502": (answer(502, b"<html>bad gateway</html>"), UNREACHABLE),
    "503 while it loads": (answer(503, openai_error(message="Loading model")), UNREACHABLE),
    "503 with a time": (answer(503, openai_error(), Retry_After="3"), UNREACHABLE),
    "a redirect": (answer(307, Location="http://127.0.0.1:1/"), FAILED),
    "an error that calls itself good": (answer(200, openai_error(code=429)), FULL),
    "nothing at all": (b"", UNREACHABLE),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", GARBAGE),
    "a good answer that is no stream": (answer(200, {}), GARBAGE),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_is_no_success(
    server: FakeServer,
    connect: Connect,
    registry: CollectorRegistry,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    caplog.set_level(logging.INFO)
    given, (reason, outcome) = ANSWERS[name]
    server.will(given)
    server.will(*said("next"))
    backend = connect()
    error = await failing(backend)
    assert error.reason_name == reason
    assert WORDS not in str(error)
    assert counted(registry, outcome) == 1
    (line,) = (record for record in caplog.records if record.name.startswith("services"))
    assert vars(line)["outcome"] == outcome
    assert vars(line)["request_id"] == "r1"
    assert vars(line)["problem"] == error.message
    assert "pocket" in error.message or outcome == "refused"
    assert WORDS not in str(vars(line))
    assert (await ask(backend, asking())).text() == "next"
    assert counted(registry, "ok") == 1


NO_MODEL: dict[str, bytes] = {
    "OpenAI": answer(404, openai_error(
        message="The model `theirs` does not exist or you do not have access to it.",
        code="model_not_found",
    )),
    "vLLM": answer(404, {"error": {
        "message": "The model `theirs` does not exist.", "type": "NotFoundError",
        "param": "model", "code": 404,
    }}),
    "Ollama": answer(404, openai_error(message="model 'theirs' not found", type="not_found_error")),
    "Ollama, to be pulled": answer(404, {"error": 'model "a" not found, try pulling it first'}),
    "llama.cpp": answer(400, openai_error(message="model not found", code=400)),
    "OpenVINO Model Server": answer(404, {
        "error": "Mediapipe graph definition with requested name is not found"
    }),
    "LiteLLM": answer(400, openai_error(message="Invalid model name passed in model=theirs")),
    "OpenRouter": answer(400, openai_error(message="theirs is not a valid model ID", code=400)),
    "another mesh": answer(404, envelope(errors.model_not_found("theirs")).encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_MODEL)
async def test_a_model_that_the_server_does_not_know_is_named_as_here_and_as_there(
    server: FakeServer, connect: Connect, name: str
) -> None:
    server.will(NO_MODEL[name])
    error = await failing(connect())
    assert error.reason_name == "MODEL_NOT_FOUND"
    assert error.metadata == {"model": "pocket", "upstream_model": "theirs"}
    assert "'pocket'" in error.message
    assert "'theirs'" in error.message


NO_PATH: dict[str, bytes] = {
    "OpenAI": answer(404, openai_error(message="Invalid URL (POST /models/chat/completions)")),
    "vLLM, SGLang": answer(404, {"detail": "Not Found"}),
    "TGI": answer(404),
    "llama.cpp": answer(404, openai_error(message="File Not Found", type="not_found_error")),
    "Ollama": answer(404, b"404 page not found"),
    "a page": answer(404, b"<html>the model is not found here</html>"),
    "another method": answer(405, {"detail": "Method Not Allowed"}),
}


@pytest.mark.parametrize("name", NO_PATH)
async def test_a_path_that_the_server_does_not_know_is_no_missing_model(
    server: FakeServer, connect: Connect, name: str
) -> None:
    server.will(NO_PATH[name])
    error = await failing(connect())
    assert error.reason_name == "UPSTREAM_FAILED"
    assert error.metadata["model"] == "pocket"
    for word in ("'pocket'", "'theirs'", "base_url", "/v1"):
        assert word in error.message
    # Waiting does not mend it.
    assert error.retry_after_s is None


@pytest.mark.parametrize(
    ("param", "field"),
    [
        ("temperature", "sampling.temperature"),
        ("messages.[0].content", "messages"),
        ("max_completion_tokens", "sampling.max_output_tokens"),
        ("what_is_this", ""),
    ],
)
async def test_the_field_to_blame_is_named_as_the_contract_does(
    server: FakeServer, connect: Connect, param: str, field: str
) -> None:
    server.will(answer(400, openai_error(param=param)))
    assert (await failing(connect())).metadata == {"field": field}


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 1, 1),
        ("1e99", 3600, 3600),
        ("nan", 1, 1),
        ("soon", 1, 1),
        (formatdate(0, usegmt=True), 1, 1),
    ],
)
async def test_when_to_come_back(
    server: FakeServer, connect: Connect, value: str, least: float, most: float
) -> None:
    server.will(answer(429, Retry_After=value))
    retry_s = (await failing(connect())).retry_after_s
    assert retry_s is not None
    assert least <= retry_s <= most


async def test_a_server_that_is_away_tells_when_it_is_back(
    server: FakeServer, connect: Connect
) -> None:
    server.will(answer(503, Retry_After="7"))
    error = await failing(connect())
    assert (error.reason_name, error.retry_after_s) == ("UPSTREAM_UNREACHABLE", 7.0)


async def test_a_date_to_come_back_at(server: FakeServer, connect: Connect) -> None:
    server.will(answer(429, Retry_After=formatdate(time.time() + 1000, usegmt=True)))
    retry_s = (await failing(connect())).retry_after_s
    assert retry_s is not None
    assert 500 <= retry_s <= 1000


STREAMS: dict[str, tuple[Sequence[Step], tuple[str, str]]] = {
    "cut by a lost connection": ([HEAD, HELLO], BROKEN),
    "cut in an event": ([HEAD, HELLO, piece(b'data: {"choi')], BROKEN),
    "ended without an end": ([HEAD, HELLO, LAST_CHUNK], BROKEN),
    "done before it began": (stream(), BROKEN),
    "one choice of two missing": (stream(chunk({"content": "a"}, index=0), done=False), BROKEN),
    "aborted": (stream(chunk({"content": "a"}, "abort")), BROKEN),
    "an error": (stream(chunk({"content": "a"}), openai_error()), FAILED),
    "an error with a status": (stream(openai_error(code=400)), REFUSED),
    "an error as a text": (stream({"error": WORDS, "error_type": "generation"}), FAILED),
    "not JSON": ([HEAD, HELLO, piece(b"data: Hello there\n\n")], GARBAGE),
    "JSON of another kind": (stream([1, 2, 3]), GARBAGE),
    "a field of another type": (stream({"choices": [{"delta": {"content": 1}}]}), GARBAGE),
    "a choice too many": (stream(chunk({"content": "a"}, index=1)), GARBAGE),
    "nested for ever": ([HEAD, piece(b'data: {"x": ' + b"[" * 100_000 + b"\n\n")], GARBAGE),
    "no pieces": ([HEAD, b"this is no length\r\n"], GARBAGE),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_that_fails(
    server: FakeServer, connect: Connect, registry: CollectorRegistry, name: str
) -> None:
    script, (reason, outcome) = STREAMS[name]
    server.will(*script)
    server.will(*said("next"))
    backend = connect()
    error = await failing(backend)
    assert error.reason_name == reason
    assert WORDS not in str(error)
    assert counted(registry, outcome) == 1
    assert (await ask(backend, asking())).text() == "next"


async def test_an_event_without_end_is_not_kept(server: FakeServer, connect: Connect) -> None:
    server.will(HEAD, *[piece(b"data: " + b"x" * 1_000_000) for _ in range(10)], asyncio.Event())
    assert (await failing(connect())).reason_name == "UPSTREAM_FAILED"
    await asyncio.wait_for(server.exchanges[0].client_left.wait(), 5)


NAMES = st.sampled_from(
    ["choices", "delta", "content", "index", "tool_calls", "function", "name", "arguments", "id",
     "usage", "prompt_tokens", "completion_tokens", "finish_reason", "logprobs", "token", "bytes",
     "logprob", "error", "message", "code", "type", "param", "reasoning", "n_ctx"]
)  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
CHUNKS = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(st.dictionaries(NAMES, ANY_JSON, max_size=4) | ANY_JSON, max_size=3),
        "usage": st.dictionaries(NAMES, st.integers(-5, 2**40) | ANY_JSON, max_size=4),
        "error": st.dictionaries(NAMES, ANY_JSON, max_size=4) | ANY_JSON,
    },
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(CHUNKS | ANY_JSON, max_size=4), status=st.sampled_from([200, 400, 429, 500]))
async def test_nothing_that_a_server_says_raises_anything_but_an_error_of_the_mesh(
    server: FakeServer, connect: Connect, values: list[Any], status: int
) -> None:
    server.scripts = [stream(*values) if status == 200 else [answer(status, values[:1])]]
    try:
        await ask(connect(), asking(logprobs=1, n=2))
    except MeshError as error:
        assert error.reason_name != "INTERNAL"  # noqa: PT017 - it may as well be understood
