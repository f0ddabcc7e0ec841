"""A fake server, and backends in front of it."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
from prometheus_client import CollectorRegistry

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2
from services.config.defaults import OPENAI_DEFAULTS, complete
from services.inference.openai import HttpClient, OpenAiBackend
from tests.inference.openai.server import FakeServer, fake_server


class Connect(Protocol):
    def __call__(self, kind: str = "openai", **target: Any) -> OpenAiBackend: ...


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def client(registry: CollectorRegistry) -> AsyncIterator[HttpClient]:
    http = HttpClient(registry)
    yield http
    await http.close()


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        yield fake


@pytest.fixture
def connect(server: FakeServer, client: HttpClient) -> Connect:
    def connected(kind: str = "openai", **target: Any) -> OpenAiBackend:
        return backend(client, kind=kind, **{"base_url": server.url} | target)

    return connected


def backend(client: HttpClient, **target: Any) -> OpenAiBackend:
    """Return the backend of `pocket`, which its server calls `theirs`."""
    config = config_pb.ModelConfig(
        name="pocket", openai=config_pb.OpenAiTarget(**{"model": "theirs"} | target)
    )
    complete(OPENAI_DEFAULTS, config.openai)
    card = models_pb2.Model(name="pocket", context_window=2048, engine="openai")
    return OpenAiBackend.configured(config, card, client)
