"""The gateway's part in what is no stream."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from catenary.config.v1.mesh_pb2 import GatewayConfig
from catenary.v1 import embeddings_pb2, safety_pb2, tokens_pb2
from services import errors
from services.checks import Checker
from services.gateway.deadline import budgeted
from services.gateway.places import Places
from services.gateway.validation import check
from services.link import Call
from services.unary import Unary

Request = TypeVar("Request", bound=Message)
ModelRequest = TypeVar("ModelRequest", embeddings_pb2.EmbedRequest, tokens_pb2.CountTokensRequest)
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
        return await let_in(
            self.upstream.embed, self._resolved(request), call, self.config, self.places
        )

    async def count_tokens(
        self, request: tokens_pb2.CountTokensRequest, call: Call
    ) -> tokens_pb2.CountTokensResponse:
        """Return the tokens of the prompt that a conversation makes.

        Raises:
            MeshError: INVALID_REQUEST, OVERLOADED, DEADLINE_EXCEEDED, or the upstream's own.
        """
        return await let_in(
            self.upstream.count_tokens, self._resolved(request), call, self.config, self.places
        )

    def _resolved(self, request: ModelRequest) -> ModelRequest:
        if request.model not in self.aliases:
            return request
        resolved = type(request)()
        resolved.CopyFrom(request)
        resolved.model = self.aliases[request.model]
        return resolved


@dataclass(frozen=True, slots=True)
class GatewayChecker:
    """Lets in what keeps the contract, and keeps the call's budget of time."""

    upstream: Checker
    config: GatewayConfig
    places: Places
    """Shared with the gateway's streams."""

    async def check(self, request: safety_pb2.CheckRequest, call: Call) -> safety_pb2.CheckResponse:
        """Tell what would be done about a text.

        Raises:
            MeshError: INVALID_REQUEST, OVERLOADED, DEADLINE_EXCEEDED, or the upstream's own.
        """
        return await let_in(self.upstream.check, request, call, self.config, self.places)

    async def get_policy(
        self, request: safety_pb2.GetPolicyRequest, call: Call
    ) -> safety_pb2.GetPolicyResponse:
        """Tell which policy is in force.

        Raises:
            MeshError: OVERLOADED, DEADLINE_EXCEEDED, or the upstream's own.
        """
        return await let_in(self.upstream.get_policy, request, call, self.config, self.places)


async def let_in(
    ask: Callable[[Request, Call], Awaitable[Response]],
    request: Request,
    call: Call,
    config: GatewayConfig,
    places: Places,
) -> Response:
    """Ask what keeps the contract, within the call's budget of time.

    Raises:
        MeshError: INVALID_REQUEST, OVERLOADED, DEADLINE_EXCEEDED, or the upstream's own.
    """
    check(request)
    call = budgeted(call, config)
    with places.take():
        try:
            async with asyncio.timeout(call.time_remaining()):
                return await ask(request, call)
        except TimeoutError:
            raise errors.deadline_exceeded() from None
