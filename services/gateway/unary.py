"""The gateway's part in what is asked of the end of the chain directly."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from catenary.config.v1.mesh_pb2 import GatewayConfig
from catenary.v1 import embeddings_pb2, tokens_pb2
from services import errors
from services.gateway.deadline import budgeted
from services.gateway.places import Places
from services.gateway.validation import check
from services.link import Call
from services.unary import Unary

Request = TypeVar("Request", embeddings_pb2.EmbedRequest, tokens_pb2.CountTokensRequest)
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class GatewayUnary:
    """Lets in what keeps the contract, and keeps the call's budget of time."""

    upstream: Unary
    config: GatewayConfig
    places: Places
    """Shared with the gateway's streams."""
    aliases: Mapping[str, str]
    """Other names of models: the router, which knows them for streams, is not passed."""

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return a vector for each text.

        Raises:
            MeshError: INVALID_REQUEST, OVERLOADED, DEADLINE_EXCEEDED, or the upstream's own.
        """
        return await self._ask(self.upstream.embed, request, call)

    async def count_tokens(
        self, request: tokens_pb2.CountTokensRequest, call: Call
    ) -> tokens_pb2.CountTokensResponse:
        """Return the tokens of the prompt that a conversation makes.

        Raises:
            MeshError: INVALID_REQUEST, OVERLOADED, DEADLINE_EXCEEDED, or the upstream's own.
        """
        return await self._ask(self.upstream.count_tokens, request, call)

    async def _ask(
        self, ask: Callable[[Request, Call], Awaitable[Response]], request: Request, call: Call
    ) -> Response:
        check(request)
        call = budgeted(call, self.config)
        with self.places.take():
            try:
                async with asyncio.timeout(call.time_remaining()):
                    return await ask(self._resolved(request), call)
            except TimeoutError:
                raise errors.deadline_exceeded() from None

    def _resolved(self, request: Request) -> Request:
        if request.model not in self.aliases:
            return request
        resolved = type(request)()
        resolved.CopyFrom(request)
        resolved.model = self.aliases[request.model]
        return resolved
