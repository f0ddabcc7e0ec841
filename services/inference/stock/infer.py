"""One generation in somebody's Triton: one gRPC stream, closed when its reader leaves."""

import asyncio
from collections.abc import AsyncGenerator

import grpc
from tritonclient.grpc import service_pb2

from services import errors
from services.cancellation import is_cancelled
from services.inference.stock import failures
from services.inference.stock.tensors import Outputs
from services.inference.stream_infer import stream_infer
from services.link import Call
from services.tracing import Tracing


async def infer(
    channel: grpc.aio.Channel,
    tracing: Tracing,
    model: str,
    request: service_pb2.ModelInferRequest,
    call: Call,
) -> AsyncGenerator[Outputs, None]:
    """Stream the outputs of a request; `model` is what callers know the model by.

    Raises:
        MeshError: Triton refused the request, failed, or cannot be reached.
        ValueError: a response is not one of Triton's.
    """
    start = stream_infer(channel)
    with tracing.under(call.trace):
        rpc = start(request, timeout=call.time_remaining(), metadata=list(call.trace.items()))
    failure = ""
    try:
        # A stream that fails is read to its end: Triton 2.51 crashes when such a one is cancelled.
        async for response in rpc:
            if response.error_message:
                failure = response.error_message
            elif response.infer_response.outputs:
                yield Outputs.read(response.infer_response)
    except grpc.aio.AioRpcError as error:
        raise failures.from_rpc(model, error) from None
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise errors.upstream_unreachable(failures.TRITON) from None
    finally:
        rpc.cancel()
    if failure:
        raise failures.from_text(model, failure)
