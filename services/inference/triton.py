"""Our Triton model, called: one gRPC stream a generation."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import msgspec
from tritonclient.grpc import service_pb2

from infra.triton import contract
from infra.triton.contract import Failure, Reason, Value
from services import errors
from services.errors import MeshError
from services.inference.inputs import field_of
from services.link import Call
from services.tracing import Tracing

_NAME = "triton"
_METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"
_BACKOFF_S = 1.0
_UNKNOWN_MODEL = "unknown model"


class Piece(msgspec.Struct, frozen=True):
    """One response of the engine's; the names are those of `contract.OUTPUTS`."""

    text: str = ""
    token_ids: list[int] = []
    choice: int = 0
    logprobs: list[float] = []
    finish_reason: str = ""
    matched_stop: str = ""
    timings: list[int] = []


@dataclass(frozen=True, slots=True)
class TritonClient:
    """Generates through Triton, over a channel that its owner closes."""

    channel: grpc.aio.Channel
    tracing: Tracing

    async def generate(
        self, model: str, inputs: Mapping[str, Value], call: Call
    ) -> AsyncGenerator[Piece, None]:
        """Stream the pieces of one generation; closing the stream frees the engine's place.

        Raises:
            MeshError: Triton refused the request, failed, or cannot be reached.
        """
        # The RPC takes a stream of requests. A stream of one is what a unary request is on the
        # wire: called as such, it leaves in one batch, and needs no task that writes it.
        infer = self.channel.unary_stream(
            _METHOD,
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelStreamInferResponse.FromString,
        )
        metadata = list(call.trace.items())
        with self.tracing.under(call.trace):
            rpc = infer(_request(model, inputs), timeout=call.time_remaining(), metadata=metadata)
        # Failures come as messages, and a stream that fails is read to its end: Triton 2.51 crashes
        # when they come as statuses (`triton_grpc_error`), or such a stream is cancelled.
        failure = ""
        try:
            async for response in rpc:
                if response.error_message:
                    failure = response.error_message
                else:
                    yield _piece(response.infer_response)
        except grpc.aio.AioRpcError as error:
            raise _classify(model, error) from None
        finally:
            rpc.cancel()
        if failure:
            raise _failed(model, failure)


def _request(model: str, inputs: Mapping[str, Value]) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model)
    for name, value in inputs.items():
        tensor = contract.INPUTS[name]
        elements, data = contract.encode(tensor, value)
        request.inputs.add(name=name, datatype=tensor.datatype, shape=[elements])
        request.raw_input_contents.append(data)
    return request


def _piece(response: service_pb2.ModelInferResponse) -> Piece:
    outputs: dict[str, Any] = {
        output.name: contract.decode(contract.OUTPUTS[output.name], data)
        for output, data in zip(response.outputs, response.raw_output_contents, strict=True)
    }
    return Piece(**outputs)


def _classify(model: str, error: grpc.aio.AioRpcError) -> MeshError:
    """Say in the mesh's words why a call failed; Triton's own words never travel on."""
    text = error.details() or ""
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.deadline_exceeded()
    if error.code() == grpc.StatusCode.UNAVAILABLE and contract.parse_failure(text) is None:
        return errors.upstream_unreachable(_NAME)
    return _failed(model, text)


def _failed(model: str, text: str) -> MeshError:
    failure = contract.parse_failure(text)
    if failure is not None:
        return _mesh_error(model, failure)
    # Triton tells so much only in words, and inside the stream.
    if _UNKNOWN_MODEL in text:
        return errors.model_not_found(model)
    return errors.upstream_failed(_NAME)


def _mesh_error(model: str, failure: Failure) -> MeshError:
    match failure.reason:
        case Reason.INVALID:
            return errors.invalid_field(field_of(failure.field), failure.message)
        case Reason.QUEUE_FULL | Reason.OUT_OF_MEMORY:
            return errors.queue_full(model, failure.retry_after_s or _BACKOFF_S)
        case Reason.CANCELLED:
            # Whoever reads this has not left, so it was the deadline, which Triton saw first.
            return errors.deadline_exceeded()
        case Reason.ENGINE_FAILED:
            return errors.upstream_failed("engine")
