"""What is one request and one response, and no stream.

Embeddings and token counts go from the gateway to the safety link, and from there to the inference
link. As with links, whoever calls does not know whether the work is done in this process or in
another.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from catenary.v1 import embeddings_pb2, embeddings_pb2_grpc, tokens_pb2, tokens_pb2_grpc
from services import errors, rpc_status
from services.link import Call
from services.server import Service
from services.tracing import Tracing
from services.transport import from_context, to_metadata

logger = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")
Identify = Callable[[Call], Call]
"""Makes of what a caller says about itself what the mesh vouches for."""
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class Unary(Protocol):
    """Answers single requests, and changes neither argument."""

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return a vector for each text."""
        ...

    async def count_tokens(
        self, request: tokens_pb2.CountTokensRequest, call: Call
    ) -> tokens_pb2.CountTokensResponse:
        """Return the tokens of the prompt that a conversation makes."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteUnary:
    """Asks another process, through a channel that its owner closes."""

    name: str
    """The link at the other end, as errors name it."""
    channel: grpc.aio.Channel
    tracing: Tracing

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return the other process's vectors; its errors come as they were raised there."""
        stub = embeddings_pb2_grpc.EmbeddingsStub(self.channel)
        return await remotely(stub.Embed, request, call, self.name, self.tracing)

    async def count_tokens(
        self, request: tokens_pb2.CountTokensRequest, call: Call
    ) -> tokens_pb2.CountTokensResponse:
        """Return the other process's count; its errors come as they were raised there."""
        stub = tokens_pb2_grpc.TokensStub(self.channel)
        return await remotely(stub.CountTokens, request, call, self.name, self.tracing)


async def remotely(
    rpc: Callable[..., Awaitable[Response]],
    request: Message,
    call: Call,
    name: str,
    tracing: Tracing,
) -> Response:
    """Ask another process, `name` in errors; its errors come as they were raised there."""
    with tracing.under(call.trace):
        asked = rpc(request, timeout=call.time_remaining(), metadata=to_metadata(call))
    try:
        return await asked
    except grpc.aio.AioRpcError as error:
        raise rpc_status.from_rpc_error(error, name) from None


class UnaryServicer(embeddings_pb2_grpc.EmbeddingsServicer, tokens_pb2_grpc.TokensServicer):
    """Serves `catenary.v1.Embeddings` and `catenary.v1.Tokens`."""

    def __init__(self, unary: Unary, tracing: Tracing, identify: Identify) -> None:
        self._unary = unary
        self._answerer = Answerer(tracing, identify)

    async def Embed(  # noqa: N802 - gRPC's name
        self, request: embeddings_pb2.EmbedRequest, context: Context
    ) -> embeddings_pb2.EmbedResponse:
        """Answer with a vector for each text."""
        return await self._answerer(self._unary.embed, request, context)

    async def CountTokens(  # noqa: N802 - gRPC's name
        self, request: tokens_pb2.CountTokensRequest, context: Context
    ) -> tokens_pb2.CountTokensResponse:
        """Answer with the tokens of a prompt."""
        return await self._answerer(self._unary.count_tokens, request, context)


@dataclass(frozen=True, slots=True)
class Answerer:
    """Answers calls of other processes, as gRPC has them."""

    tracing: Tracing
    identify: Identify

    async def __call__(
        self,
        ask: Callable[[Request, Call], Awaitable[Response]],
        request: Request,
        context: Context,
    ) -> Response:
        """Answer one call; a failure ends it with its status."""
        call = self.identify(from_context(context))
        call = replace(call, trace=self.tracing.ambient(call.trace))
        try:
            return await ask(request, call)
        except errors.MeshError as error:
            await rpc_status.abort(context, error)
        except Exception:
            logger.exception("defect", extra={"request_id": call.request_id})
            await rpc_status.abort(context, errors.internal())


def services(
    unary: Unary, tracing: Tracing, identify: Identify = lambda call: call
) -> list[Service]:
    """Return what serves embeddings and token counts.

    Args:
        unary: answers.
        tracing: knows the span of the server's call.
        identify: says who calls, where the callers are not links.
    """
    servicer = UnaryServicer(unary, tracing, identify)
    return [
        Service(
            embeddings_pb2.DESCRIPTOR.services_by_name["Embeddings"].full_name,
            lambda server: embeddings_pb2_grpc.add_EmbeddingsServicer_to_server(servicer, server),
        ),
        Service(
            tokens_pb2.DESCRIPTOR.services_by_name["Tokens"].full_name,
            lambda server: tokens_pb2_grpc.add_TokensServicer_to_server(servicer, server),
        ),
    ]
