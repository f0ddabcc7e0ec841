"""What every test may use: a chain of links, in one process or with gRPC between them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import settings
from prometheus_client import CollectorRegistry

from services import remote, server
from services.chain import Wrapper, compose
from services.link import Link
from services.tracing import Tracing

# Speed lives in benchmarks: no example fails because the machine was busy.
settings.register_profile("mesh", deadline=None)
settings.load_profile("mesh")


@dataclass
class Topology:
    """Builds chains of links, with or without the network between them."""

    loopback: bool
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def chain(self, *wrappers: Wrapper, terminal: Link) -> Link:
        """Compose links; over loopback each stands behind a server of its own."""
        if not self.loopback:
            return compose(*wrappers, terminal=terminal)
        link = await self.behind_server(terminal)
        for wrap in reversed(wrappers):
            link = await self.behind_server(wrap(link))
        return link

    async def behind_server(self, link: Link, tracing: Tracing | None = None) -> Link:
        """Serve a link, and reach it as another process would."""
        tracing = tracing or Tracing()
        port = await self.closing.enter_async_context(
            server.serving([server.generation(link, tracing)], "127.0.0.1:0", tracing, 0)
        )
        channel = remote.connect(f"127.0.0.1:{port}", "upstream", tracing)
        self.closing.push_async_callback(channel.close)
        return remote.RemoteLink("upstream", channel, tracing)


@pytest.fixture(params=["in_process", "loopback"])
async def topology(request: pytest.FixtureRequest) -> AsyncIterator[Topology]:
    built = Topology(loopback=cast("str", request.param) == "loopback")
    async with built.closing:
        yield built


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()
