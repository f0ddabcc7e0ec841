"""llama.cpp's server, which is real: what the contract's suite does not ask of every engine."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from catenary.v1 import embeddings_pb2, message_pb2
from services.errors import MeshError
from services.inference.openai import HttpClient, OpenAiBackend
from services.link import Call, Events
from tests.fakes import LENGTH
from tests.inference.asking import ask, asking
from tests.inference.openai.conftest import backend
from tests.inference.openai.llama import llama_server

ENDLESS: dict[str, Any] = {"max_output_tokens": 1900, "logit_bias": {2: -100.0}, "temperature": 0}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_server(tmp_path_factory.mktemp("llama")) as root:
        yield root


@pytest.fixture
def llama(client: HttpClient, url: str) -> OpenAiBackend:
    return backend(client, base_url=url, kind="llama_cpp")


async def busy(url: str) -> int:
    """Return how many sequences the server is generating."""

    def look() -> list[dict[str, bool]]:
        slots_url = f"{url.removesuffix('/v1')}/slots"
        with urllib.request.urlopen(slots_url, timeout=5) as response:  # noqa: S310 - loopback
            slots: list[dict[str, bool]] = json.load(response)
            return slots

    return sum(slot["is_processing"] for slot in await asyncio.to_thread(look))


async def outcome(events: Events) -> str:
    """Read a stream to its end, and return how it ended."""
    last = ""
    try:
        async for event in events:
            last = event.WhichOneof("event") or ""
    except MeshError as error:
        return error.reason_name
    return last


async def test_it_is_open(llama: OpenAiBackend) -> None:
    await llama.open()


async def test_a_caller_who_leaves_frees_the_servers_place(llama: OpenAiBackend, url: str) -> None:
    async with aclosing(llama.generate(asking(**ENDLESS), Call("r1"))) as events:
        async for event in events:
            if event.HasField("delta"):
                break
        assert await busy(url) == 1
    async with asyncio.timeout(5):
        while await busy(url):
            pass


async def test_both_counts_of_a_prompt_that_does_not_fit(llama: OpenAiBackend) -> None:
    request = asking("word " * 3000)
    with pytest.raises(MeshError) as raised:
        await ask(llama, request)
    assert raised.value.reason_name == "CONTEXT_WINDOW_EXCEEDED"
    counted = await llama.count_tokens(request, Call("r1"))
    expected = {"context_window": "2048", "input_tokens": str(counted)}
    assert raised.value.metadata == expected


async def test_tools_are_called_in_the_servers_own_words(llama: OpenAiBackend) -> None:
    request = asking("What time is it?", temperature=0, max_output_tokens=400)
    for name in ("clock", "calendar"):
        schema = {"type": "object", "properties": {"zone": {"enum": ["UTC"]}}, "required": ["zone"]}
        request.tools.add(name=name, parameters_schema=json.dumps(schema))
    request.tool_choice.mode = message_pb2.ToolChoice.MODE_REQUIRED
    request.parallel_tool_calls = False
    parts = [part for delta in (await ask(llama, request)).deltas for part in delta.tool_calls]
    assert {part.index for part in parts} == {0}
    assert parts[0].name in {"clock", "calendar"}
    assert json.loads("".join(part.arguments for part in parts))["zone"] == "UTC"


async def test_a_schema_that_the_server_cannot_compile(llama: OpenAiBackend) -> None:
    request = asking()
    request.response_format.json_schema.schema = '{"type": "nonsense"}'
    with pytest.raises(MeshError) as raised:
        await ask(llama, request)
    assert raised.value.reason_name == "INVALID_REQUEST"


async def test_several_choices_cost_what_each_of_them_costs(llama: OpenAiBackend) -> None:
    answer = await ask(llama, asking(n=2, max_output_tokens=5))
    assert answer.finished.usage.output_tokens == 10
    assert [choice.finish_reason for choice in answer.finished.choices] == [LENGTH, LENGTH]


async def test_rivals_are_as_many_as_were_asked_for(llama: OpenAiBackend) -> None:
    for rivals in (0, 2):
        answer = await ask(llama, asking(logprobs=rivals, max_output_tokens=3))
        tokens = [token for delta in answer.deltas for token in delta.logprobs]
        assert [len(token.top) for token in tokens] == [rivals] * 3


async def test_streams_when_the_server_is_killed_and_when_it_is_back(
    client: HttpClient, tmp_path: Path
) -> None:
    with llama_server(tmp_path) as url:
        llama = backend(client, base_url=url, kind="llama_cpp")
        streams = [llama.generate(asking(**ENDLESS), Call(f"r{index}")) for index in range(4)]
        for events in streams:
            assert (await anext(events)).HasField("started")
    # The server is gone.
    assert {await outcome(events) for events in streams} <= {"finished", "STREAM_BROKEN"}
    assert llama.upstream.gate.in_flight == 0
    with pytest.raises(MeshError) as raised:
        await ask(llama, asking())
    assert raised.value.reason_name == "UPSTREAM_UNREACHABLE"
    port = int(url.removesuffix("/v1").rpartition(":")[2])
    with llama_server(tmp_path, port=port):
        assert "Catenary" in (await ask(llama, asking(temperature=0))).text()


async def test_embeddings(client: HttpClient, tmp_path: Path) -> None:
    with llama_server(tmp_path, embeds=True) as url:
        llama = backend(client, base_url=url, kind="llama_cpp")
        texts = ["the cache", "the semantic cache", "the cache"]
        response = await llama.embed(
            embeddings_pb2.EmbedRequest(model="pocket", texts=texts), Call("r1")
        )
    first, second, third = (list(vector.values) for vector in response.embeddings)
    assert len(first) == 256
    assert first == pytest.approx(third, abs=1e-4)
    assert first != pytest.approx(second, abs=1e-4)
    assert sum(value * value for value in first) == pytest.approx(1)
    assert response.usage.input_tokens > 3
