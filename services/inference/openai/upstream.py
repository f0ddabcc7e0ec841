"""One server with OpenAI's API: calls to it, bounded, timed, observed, and their failures."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from services.inference.openai.client import HttpClient
from services.inference.openai.failures import Failures, GarbageError, Outcome, UpstreamError
from services.inference.openai.gate import Gate
from services.inference.openai.key import Key
from services.link import Call

logger = logging.getLogger(__name__)

_MAX_PROBLEM_BYTES = 64 * 1024
_PROBLEM_S = 5.0
"""How long to wait for the words of an answer whose status has told the essence."""
_END_S = 0.05


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server, as one model uses it."""

    client: HttpClient
    base_url: str
    """The API's root, without a slash at its end."""
    key: Key
    headers: Mapping[str, str] = field(repr=False)
    """Further headers of every request, which may be secrets too."""
    connect_timeout_s: float
    idle_timeout_s: float
    """How long the server may be silent."""
    gate: Gate
    failures: Failures

    @asynccontextmanager
    async def asking(
        self,
        url: str,
        body: Mapping[str, Any] | None,
        call: Call,
        good: Collection[int] = (HTTPStatus.OK,),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, a GET where there is no body, and give the answer.

        The call ends with the context: one that is left early loses its connection, by which the
        server knows that nobody listens. How the call ended is counted, and a failure is logged.

        Raises:
            MeshError: there is no room, the server cannot be reached, or its status is not `good`;
                also for an `UpstreamError` or `GarbageError` raised within the context.
        """
        outcome = Outcome.CANCELLED
        with self.gate.passing():
            try:
                with self._translating(is_answered=False):
                    response = await self._send(url, body, call)
                try:
                    if response.status not in good:
                        raise await self._failure(response)
                    with self._translating(is_answered=True):
                        yield response
                    await _end(response)
                finally:
                    response.close()
                outcome = Outcome.OK
            except UpstreamError as failure:
                outcome = failure.outcome
                self._log(failure, call)
                raise failure.error from None
            finally:
                self.client.calls.labels(self.failures.model, outcome).inc()

    async def _send(
        self, url: str, body: Mapping[str, Any] | None, call: Call
    ) -> aiohttp.ClientResponse:
        left_s = call.time_remaining()
        if left_s == 0:
            raise self.failures.late()
        headers = {
            "Content-Type": "application/json",
            **self.headers,
            **call.trace,
            "x-request-id": call.request_id,
        }
        try:
            key = self.key.read()
        except (OSError, ValueError):
            raise self.failures.keyless() from None
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return await self.client.send(
            "GET" if body is None else "POST",
            url,
            data=None if body is None else msgspec.json.encode(body),
            headers=headers,
            # A key must not be carried to wherever an answer points.
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                total=left_s, connect=self.connect_timeout_s, sock_read=self.idle_timeout_s
            ),
        )

    async def _failure(self, response: aiohttp.ClientResponse) -> UpstreamError:
        words = b""
        # The status says enough, should the words not come.
        with suppress(aiohttp.ClientError, TimeoutError, GarbageError):
            async with asyncio.timeout(_PROBLEM_S):
                words = await read(response, _MAX_PROBLEM_BYTES)
        return self.failures.of_response(response.status, response.headers, words)

    @contextmanager
    def _translating(self, *, is_answered: bool) -> Iterator[None]:
        """Say in our words what aiohttp raises."""
        try:
            yield
        except GarbageError as error:
            raise self.failures.garbage(error.kind) from None
        except aiohttp.ConnectionTimeoutError:
            raise self.failures.unreachable() from None
        except aiohttp.SocketTimeoutError:
            raise self.failures.silent() from None
        except TimeoutError:
            raise self.failures.late() from None
        except aiohttp.ClientResponseError:
            raise self.failures.garbage("not_http") from None
        except aiohttp.ClientError:
            lost = self.failures.broken() if is_answered else self.failures.unreachable()
            raise lost from None

    def _log(self, failure: UpstreamError, call: Call) -> None:
        is_callers = failure.outcome == Outcome.REFUSED
        logger.log(
            logging.INFO if is_callers else logging.WARNING,
            "a call to a server with OpenAI's API failed",
            extra={
                "request_id": call.request_id,
                "model": self.failures.model,
                "engine": self.failures.engine,
                "outcome": failure.outcome,
                "reason": failure.error.reason_name,
                "status": failure.status,
                "kind": failure.kind,
                "problem": failure.error.message,
            },
        )


async def _end(response: aiohttp.ClientResponse) -> None:
    """Read an answer of which all that counts has come to its end: its connection serves again.

    The end follows at once, and only a server that forgets it is hung up on.
    """
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(_END_S):
            while not response.content.at_eof():
                await response.content.readany()
    response.release()


async def read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return an answer's body.

    Raises:
        GarbageError: it has more than `max_bytes`.
    """
    body = bytearray()
    async for data in response.content.iter_any():
        body += data
        if len(body) > max_bytes:
            raise GarbageError("too_large")
    return bytes(body)
