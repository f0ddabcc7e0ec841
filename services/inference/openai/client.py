"""The HTTP client that all models of a process share, and what it counts."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry, Counter

from services import telemetry

_KEEP_ALIVE_S = 4.0
"""How long an idle connection is kept: less than servers do (uvicorn and llama.cpp: 5 s), so that
few calls are sent into a connection that is being closed."""


class HttpClient:
    """A pool of connections; made while an event loop runs, and closed by its owner.

    It has no bound of its own, since each model has one. aiohttp, since an event costs 7 µs of it
    and a call 0.4 ms, where httpx takes 13 µs and 1.8 ms.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A few compressed bytes could become any number.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "catenary"},
            trace_configs=[_seeing_reuse()],
        )
        self.calls = Counter(
            telemetry.UPSTREAM_CALLS,
            "Calls to servers with OpenAI's API, by how they ended.",
            ("model", "outcome"),
            registry=registry,
        )

    async def send(self, method: str, url: str, **options: Any) -> aiohttp.ClientResponse:
        """Send a request, and return once its answer has begun.

        A connection that has served before may have been closed by the server meanwhile; llama.cpp
        closes it after each stream, and does not say so. When one ends without a word of answer,
        the request goes over another; over a new one it goes once.

        Raises:
            aiohttp.ClientError, TimeoutError: there is no answer.
        """
        while True:
            seen = _Seen()
            try:
                return await self.session.request(method, url, trace_request_ctx=seen, **options)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not seen.is_reused:
                    raise

    async def close(self) -> None:
        """Close every connection."""
        await self.session.close()


@dataclass(slots=True)
class _Seen:
    """What is seen of one request on its way."""

    is_reused: bool = False
    """It goes over a connection that has served before."""


def _seeing_reuse() -> aiohttp.TraceConfig:
    async def see(
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        _params: aiohttp.TraceConnectionReuseconnParams,
    ) -> None:
        context.trace_request_ctx.is_reused = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(see)
    return config
