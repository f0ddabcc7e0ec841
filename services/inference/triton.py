"""Our Triton model, called: one gRPC stream a generation."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import msgspec
from tritonclient.grpc import service_pb2, service_pb2_grpc

from infra.engine.engine import Generation, Rivals
from infra.engine.figures import Load
from infra.engine.frames import Timings
from infra.engine.vocabulary import Vocabulary
from infra.triton import contract
from services import errors
from services.cancellation import is_cancelled
from services.errors import MeshError
from services.inference import failures
from services.inference.engine import EngineRequest, Piece
from services.inference.features import Refusals
from services.inference.logprobs import token_logprobs
from services.inference.stream_infer import stream_infer
from services.link import Call
from services.tracing import Tracing

_NAME = "triton"
_UNKNOWN_MODEL = "unknown model"
_READY_S = 5.0
_LEAVE_S = 1.0
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Generation)}


class _Outputs(msgspec.Struct, frozen=True):
    """One response of the engine's; the names are those of `contract.OUTPUTS`."""

    text: str = ""
    token_ids: list[int] = []
    choice: int = 0
    logprobs: list[float] = []
    top_token_ids: list[int] = []
    top_logprobs: list[float] = []
    cached_input_tokens: int = 0
    finish_reason: str = ""
    matched_stop: str = ""
    timings: list[int] | None = None
    load: list[float] | None = None


@dataclass(frozen=True, slots=True)
class TritonClient:
    """Generates with our model in Triton, over a channel that its owner closes."""

    channel: grpc.aio.Channel
    tracing: Tracing
    model: str
    """The model's name, for callers."""
    name_in_triton: str
    vocabulary: Vocabulary
    name: str
    """The engine in it."""
    refusals: Refusals
    _leaving: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def generate(self, request: EngineRequest, call: Call) -> AsyncGenerator[Piece, None]:
        """Stream the pieces of one generation; closing the stream frees the engine's place.

        Raises:
            MeshError: Triton refused the request, failed, or cannot be reached.
        """
        metadata = list(call.trace.items())
        wanted = _request(self.name_in_triton, request.generation)
        infer = stream_infer(self.channel)
        with self.tracing.under(call.trace):
            rpc = infer(wanted, timeout=call.time_remaining(), metadata=metadata)
        # Failures come as messages, and a stream that fails is read to its end: Triton 2.51 crashes
        # when they come as statuses (`triton_grpc_error`), or such a stream is cancelled.
        failure = ""
        try:
            async for response in rpc:
                if response.error_message:
                    failure = response.error_message
                else:
                    yield _piece(response.infer_response, self.vocabulary)
        except grpc.aio.AioRpcError as error:
            raise _classify(self.model, error) from None
        except (GeneratorExit, asyncio.CancelledError) as left:
            if isinstance(left, asyncio.CancelledError) and not is_cancelled():
                raise errors.upstream_unreachable(_NAME) from None
            self._leave(wanted.id)
            raise
        finally:
            rpc.cancel()
        if failure:
            raise _failed(self.model, failure)

    async def open(self) -> None:
        """Ask Triton whether the model is ready.

        Raises:
            MeshError: it is not, or Triton cannot be reached; with a time to come back.
        """
        stub = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)
        request = service_pb2.ModelReadyRequest(name=self.name_in_triton)
        try:
            reply = await stub.ModelReady(request, timeout=_READY_S)
        except grpc.aio.AioRpcError as error:
            raise _classify(self.model, error) from None
        if not reply.ready:
            raise errors.model_unavailable(self.model, has_failed=False)

    async def close(self) -> None:
        """Wait for what is still to be said; the channel is its owner's."""
        await asyncio.gather(*self._leaving)

    def _leave(self, request_id: str) -> None:
        """Tell the model at once that a caller has left; Triton would only tell when asked."""
        task = asyncio.create_task(self._say_who_leaves(request_id))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _say_who_leaves(self, request_id: str) -> None:
        said = service_pb2.ModelInferRequest(model_name=self.name_in_triton)
        said.parameters[contract.LEAVES].string_param = request_id
        # Only to be a request as Triton knows them.
        said.inputs.add(name=contract.INPUT_IDS, datatype="INT32", shape=[1])
        said.raw_input_contents.append(bytes(4))
        # A model that is gone has nothing to give up.
        with suppress(grpc.aio.AioRpcError):
            async for _ in stream_infer(self.channel)(said, timeout=_LEAVE_S):
                pass


def _request(model: str, generation: Generation) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model, id=secrets.token_hex(8))
    for name, tensor in contract.INPUTS.items():
        value = getattr(generation, name)
        if value not in ([], {}, _DEFAULTS[name]):
            elements, data = contract.encode(tensor, value)
            request.inputs.add(name=name, datatype=tensor.datatype, shape=[elements])
            request.raw_input_contents.append(data)
    return request


def _piece(response: service_pb2.ModelInferResponse, vocabulary: Vocabulary) -> Piece:
    values: dict[str, Any] = {
        output.name: contract.decode(contract.OUTPUTS[output.name], data)
        for output, data in zip(response.outputs, response.raw_output_contents, strict=True)
    }
    outputs = _Outputs(**values)
    return Piece(
        text=outputs.text,
        output_tokens=len(outputs.token_ids),
        choice=outputs.choice,
        logprobs=token_logprobs(
            outputs.token_ids, outputs.logprobs, vocabulary, _top_logprobs(outputs)
        ),
        finish_reason=outputs.finish_reason,
        matched_stop=outputs.matched_stop,
        timings=Timings(*outputs.timings) if outputs.timings else None,
        cached_input_tokens=outputs.cached_input_tokens,
        load=Load(*outputs.load) if outputs.load else None,
    )


def _top_logprobs(outputs: _Outputs) -> list[Rivals]:
    if not outputs.token_ids:
        return []
    flat = list(zip(outputs.top_token_ids, outputs.top_logprobs, strict=True))
    width = len(flat) // len(outputs.token_ids)
    rows = [flat[start : start + width] for start in range(0, len(flat), max(width, 1))]
    return [[rival for rival in row if rival[0] >= 0] for row in rows]


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
        return failures.mesh_error(model, failure)
    # Triton tells so much only in words, and inside the stream.
    if _UNKNOWN_MODEL in text:
        return errors.model_unavailable(model, has_failed=False)
    return errors.upstream_failed(_NAME)
