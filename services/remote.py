"""The link whose work is done in another process: link → gRPC."""

import asyncio
from dataclasses import dataclass

import grpc

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import generation_pb2_grpc
from services import errors, rpc_status
from services.cancellation import is_cancelled
from services.link import Call, Events
from services.tracing import Tracing
from services.transport import OPTIONS, to_metadata


@dataclass(frozen=True, slots=True)
class RemoteLink:
    """Streams from a link in another process, through a channel that its owner closes."""

    name: str
    """The link at the other end, as errors name it."""
    channel: grpc.aio.Channel
    tracing: Tracing

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the other process's events; its errors come as they were raised there."""
        stub = generation_pb2_grpc.GenerationStub(self.channel)
        with self.tracing.under(call.trace):
            rpc = stub.Generate(request, timeout=call.time_remaining(), metadata=to_metadata(call))
        try:
            async for event in rpc:
                yield event
        except grpc.aio.AioRpcError as error:
            raise rpc_status.from_rpc_error(error, self.name) from None
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise errors.upstream_unreachable(self.name) from None
        finally:
            rpc.cancel()


def connect(address: str, authority: str, tracing: Tracing) -> grpc.aio.Channel:
    """Open a channel to a link, or to the Envoy listener that balances over its replicas.

    Args:
        address: `host:port`.
        authority: the `:authority` of the calls, by which Envoy knows which link is meant.
        tracing: makes the spans of the calls.
    """
    return grpc.aio.insecure_channel(
        address,
        options=[*OPTIONS, ("grpc.default_authority", authority)],
        interceptors=tracing.client_interceptors,
    )
