"""What a model's card claims: what its configuration says, or its server tells, or chat alone."""

from typing import Any

import pytest

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2 as pb
from services.config import ConfigError, load_models
from services.gateway.openai.models import described
from tests.inference.openai.conftest import Connect
from tests.inference.openai.server import FakeServer, answer

ALL = [
    "chat",
    "tools",
    "tool_choice",
    "reasoning",
    "json_schema",
    "regex",
    "logprobs",
    "embeddings",
]


def listed(*models: Any) -> bytes:
    return answer(200, {"object": "list", "data": list(models)})


LISTS: dict[str, tuple[bytes, list[str]]] = {
    "OpenAI, vLLM, Ollama": (listed({"id": "theirs", "object": "model"}), ["chat"]),
    "llama.cpp": (
        answer(200, {
            "models": [{"name": "theirs", "capabilities": ["completion"]}],
            "data": [{"id": "theirs", "meta": {"n_ctx": 4096}}],
        }),
        ["chat"],
    ),
    "another mesh": (
        listed(described(pb.Model(name="theirs", capabilities=["chat", "tools", "regex"]))),
        ["chat", "tools", "regex"],
    ),
    "another mesh, of vectors": (
        listed(described(pb.Model(name="theirs", capabilities=["embeddings"]))),
        ["embeddings"],
    ),
    "Mistral": (
        listed({"id": "theirs", "capabilities": {
            "completion_chat": True, "function_calling": True, "vision": False, "audio": None,
        }}),
        ["chat", "tools"],
    ),
    "Mistral, without tools": (
        listed({"id": "theirs", "capabilities": {
            "completion_chat": True, "function_calling": False,
        }}),
        ["chat"],
    ),
    "OpenRouter": (
        listed({"id": "theirs", "supported_parameters": [
            "max_tokens", "tools", "tool_choice", "structured_outputs", "reasoning", "logprobs",
        ]}),
        ["chat", "tools", "tool_choice", "json_schema", "reasoning", "logprobs"],
    ),
    "another model": (listed({"id": "other", "capabilities": ["tools"]}), ["chat"]),
    "nothing listed": (answer(404), ["chat"]),
    "no list": (answer(200, b"<html>"), ["chat"]),
    "an odd list": (answer(200, [1]), ["chat"]),
    "odd entries": (
        listed({"id": 7}, {"id": "theirs", "capabilities": [["tools"], 3, "tools", "tools"]}),
        ["tools"],
    ),
    "odd capabilities": (listed({"id": "theirs", "capabilities": "tools"}), ["chat"]),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
async def test_what_the_servers_list_tells(server: FakeServer, connect: Connect, name: str) -> None:
    given, expected = LISTS[name]
    server.will(given)
    backend = connect("vllm")
    assert backend.capabilities == ["chat"]
    await backend.open()
    assert server.exchanges[0].path == "/v1/models"
    assert backend.capabilities == expected


async def test_the_configuration_knows_better_than_the_list(
    server: FakeServer, connect: Connect
) -> None:
    server.will(listed({"id": "theirs", "capabilities": ["embeddings"]}))
    backend = connect("vllm", capabilities=["chat", "tools"])
    await backend.open()
    assert backend.capabilities == ["chat", "tools"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("vllm", ALL),
        ("openai", [word for word in ALL if word != "regex"]),
        ("tgi", [word for word in ALL if word != "embeddings"]),
        ("transformers", ["chat", "tools", "reasoning"]),
    ],
)
def test_nothing_is_claimed_that_the_servers_kind_refuses(
    connect: Connect, kind: str, expected: list[str]
) -> None:
    assert connect(kind, capabilities=ALL).capabilities == expected


def test_the_words_of_the_configuration_are_the_cards(tmp_path: Any) -> None:
    file = tmp_path / "models.yaml"
    model = (
        "models: [{name: m, engine: openai, openai: {base_url: http://h/v1, capabilities: [%s]}}]"
    )
    file.write_text(model % ", ".join(ALL))
    target: config_pb.OpenAiTarget = load_models(file).models[0].openai
    assert list(target.capabilities) == ALL
    for wrong in ("fly", "chat, chat"):
        file.write_text(model % wrong)
        with pytest.raises(ConfigError) as raised:
            load_models(file)
        assert raised.value.field.startswith("models[0].openai.capabilities")
