"""Refuses requests that are not of their message's form, before a handler sees them."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from services import errors, rpc_status

# gRPC's class is generic to the type checker only.
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Continuation: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]]


class WellFormed(grpc.aio.ServerInterceptor):
    """Answers bytes that cannot be parsed, text that is not UTF-8 among them, with INVALID_REQUEST.

    Left to itself, gRPC answers with UNKNOWN and the text of a Python exception.
    """

    async def intercept_service(  # type: ignore[override]  # the stubs know no abort in handlers
        self, continuation: _Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "_Handler | None":
        """Return the handler, with its parsing made safe."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.request_deserializer is None:
            return handler
        behavior: Any = handler.unary_stream or handler.unary_unary
        build = (
            grpc.unary_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        deserialize = handler.request_deserializer

        def parse(data: bytes) -> Any:
            try:
                return deserialize(data)
            except DecodeError:
                return None

        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            if request is None:
                await rpc_status.abort(context, _not_well_formed())
            return await behavior(request, context)

        return build(answer, parse, handler.response_serializer)


def _not_well_formed() -> errors.MeshError:
    return errors.invalid_field("", "the request cannot be parsed: it is not such a message")
