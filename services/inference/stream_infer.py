"""Triton's ModelStreamInfer, as it is called here: one stream a generation."""

from typing import Any

import grpc
from tritonclient.grpc import service_pb2

_METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"


def stream_infer(channel: grpc.aio.Channel) -> grpc.aio.UnaryStreamMultiCallable[Any, Any]:
    """Return the RPC, to be called with one request.

    It takes a stream of requests. A stream of one is what a unary request is on the wire: called as
    such, it leaves in one batch, and needs no task that writes it.
    """
    return channel.unary_stream(
        _METHOD,
        request_serializer=service_pb2.ModelInferRequest.SerializeToString,
        response_deserializer=service_pb2.ModelStreamInferResponse.FromString,
    )
