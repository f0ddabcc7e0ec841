"""A real Envoy, started from the project's templates, with a server of the tests' own behind it."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import openai
import pytest

from catenary.config.v1.mesh_pb2 import EdgeConfig
from infra.envoy import render
from services.config import DEFAULTS
from services.transport import OPTIONS
from tests.infra.upstream import Seen, serving

_START_S = 20.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Edge:
    """A running Envoy, and what its callers hold."""

    address: str
    mesh_address: str
    admin: str
    http: httpx.AsyncClient
    openai: openai.AsyncOpenAI
    channel: grpc.aio.Channel


Replicas = Mapping[str, Sequence[str]]
StartEdge = Callable[..., Awaitable[Edge]]
StartUpstream = Callable[[str], Awaitable[asyncio.subprocess.Process]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def limits(**changed: int) -> EdgeConfig:
    complete = EdgeConfig()
    complete.CopyFrom(DEFAULTS.edge)
    complete.MergeFrom(EdgeConfig(**changed))
    return complete


@asynccontextmanager
async def process(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def until_ready(admin: str, http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(_START_S):
        while True:
            try:
                if (await http.get(f"http://{admin}/ready")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_POLL_S)


@pytest.fixture
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("envoy") / "descriptors.pb"
    file.write_bytes(render.descriptors())
    return file


@pytest.fixture
async def start_edge(tmp_path: Path, descriptors: Path) -> AsyncIterator[StartEdge]:
    """Starts Envoys; each ends with the test."""
    async with AsyncExitStack() as stack:

        async def start(
            replicas: Replicas, *, mesh: bool = False, otlp_endpoint: str = "", **changed: int
        ) -> Edge:
            envoy = render.Envoy(
                edge_port=free_port(),
                admin_port=free_port(),
                mesh_port=free_port() if mesh else None,
                replicas=replicas,
                limits=limits(**changed),
                descriptors=descriptors,
                otlp_endpoint=otlp_endpoint,
            )
            config = tmp_path / f"{envoy.edge_port}.yaml"
            config.write_text(render.render(envoy))
            await stack.enter_async_context(process(*render.command(config, workers=1)))
            address = f"127.0.0.1:{envoy.edge_port}"
            http = httpx.AsyncClient(base_url=f"http://{address}", timeout=30)
            await stack.enter_async_context(http)
            channel = grpc.aio.insecure_channel(address, OPTIONS)
            await stack.enter_async_context(channel)
            admin = f"127.0.0.1:{envoy.admin_port}"
            await until_ready(admin, http)
            client = openai.AsyncOpenAI(
                base_url=f"http://{address}/v1", api_key="none", max_retries=0
            )
            await stack.enter_async_context(client)
            return Edge(address, f"127.0.0.1:{envoy.mesh_port}", admin, http, client, channel)

        yield start


@pytest.fixture
async def start_upstream() -> AsyncIterator[StartUpstream]:
    """Starts servers as processes of their own, which a test may kill."""
    async with AsyncExitStack() as stack:

        async def start(address: str) -> asyncio.subprocess.Process:
            command = (sys.executable, "-m", "tests.infra.upstream", address)
            child = await stack.enter_async_context(process(*command))
            assert child.stdout is not None
            async with asyncio.timeout(_START_S):
                assert await child.stdout.readline() == b"serving\n"
            return child

        yield start


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def upstream(seen: Seen) -> AsyncIterator[str]:
    async with serving("127.0.0.1:0", seen) as address:
        yield address


@pytest.fixture
async def edge(start_edge: StartEdge, upstream: str) -> Edge:
    """Envoy with its defaults, and one gateway behind it."""
    return await start_edge({"gateway": [upstream]})
