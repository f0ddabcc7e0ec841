"""A small client of the mesh: generations and models over gRPC."""

from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from typing import Self

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import (
    generation_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    safety_pb2,
    safety_pb2_grpc,
)

_STATUS_DETAILS = "grpc-status-details-bin"
_MAX_MESSAGE_BYTES = 256 * 1024 * 1024
_TELL_TIMEOUT_S = 10.0


class CallError(Exception):
    """A call that failed; its text is the mesh's message, for the caller to read."""

    def __init__(self, code: grpc.StatusCode, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        """An ErrorReason without its prefix; empty when the failure is not the mesh's own."""


class Client:
    """Calls one mesh; to be closed, or used as a context."""

    def __init__(self, address: str) -> None:
        """Prepare to call the mesh at `address`, a host:port."""
        self._channel = grpc.aio.insecure_channel(
            address, options=[("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES)]
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that still run fail."""
        await self._channel.close()

    async def generate(
        self, request: pb.GenerateRequest, timeout_s: float | None = None
    ) -> AsyncGenerator[pb.GenerateResponse, None]:
        """Stream the events of a generation; closing the generator cancels it.

        Raises:
            CallError: the generation failed; events may have come before.
        """
        rpc = generation_pb2_grpc.GenerationStub(self._channel).Generate(request, timeout=timeout_s)
        try:
            async for event in rpc:
                yield event
        except grpc.aio.AioRpcError as error:
            raise _call_error(error) from None
        finally:
            rpc.cancel()

    async def models(self) -> Sequence[models_pb2.Model]:
        """Return the models that can be asked for.

        Raises:
            CallError: the mesh does not tell.
        """
        return (await self.list_models()).models

    async def list_models(self) -> models_pb2.ListModelsResponse:
        """Return the models that can be asked for, and whether these are the ones configured.

        Raises:
            CallError: the mesh does not tell.
        """
        stub = models_pb2_grpc.ModelsStub(self._channel)
        try:
            return await stub.ListModels(models_pb2.ListModelsRequest(), timeout=_TELL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise _call_error(error) from None

    async def safety_policy(self) -> safety_pb2.GetPolicyResponse:
        """Return which safety policy holds, and whether it is the one configured.

        Raises:
            CallError: the mesh does not tell.
        """
        stub = safety_pb2_grpc.SafetyStub(self._channel)
        try:
            return await stub.GetPolicy(safety_pb2.GetPolicyRequest(), timeout=_TELL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise _call_error(error) from None


def _call_error(error: grpc.aio.AioRpcError) -> CallError:
    info = error_details_pb2.ErrorInfo()
    for key, value in error.trailing_metadata() or ():
        if key == _STATUS_DETAILS and isinstance(value, bytes):
            try:
                details = status_pb2.Status.FromString(value).details
            except DecodeError:
                break
            any(detail.Unpack(info) for detail in details)
    return CallError(error.code(), info.reason, error.details() or error.code().name)
