"""A Triton that computes nothing: it speaks our model's contract, and answers in a known time.

Stands where the engine's own time would hide what the chain costs.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator

import grpc
import uvloop
from tritonclient.grpc import service_pb2 as triton
from tritonclient.grpc import service_pb2_grpc as triton_grpc

from infra.triton import contract
from services.transport import OPTIONS

PREFILL_S = 0.005
"""From a request to its first token."""

Context = grpc.aio.ServicerContext[triton.ModelInferRequest, triton.ModelStreamInferResponse]


class MockTriton(triton_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Answers every request with `max_output_tokens` pieces of one token, all at once."""

    async def ServerReady(  # noqa: N802 - Triton's name
        self, request: triton.ServerReadyRequest, context: Context
    ) -> triton.ServerReadyResponse:
        """Say that it is ready."""
        del request, context
        return triton.ServerReadyResponse(ready=True)

    async def ServerMetadata(  # noqa: N802 - Triton's name
        self, request: triton.ServerMetadataRequest, context: Context
    ) -> triton.ServerMetadataResponse:
        """Say what it is."""
        del request, context
        return triton.ServerMetadataResponse(name="mock", version="mock")

    async def ModelReady(  # noqa: N802 - Triton's name
        self, request: triton.ModelReadyRequest, context: Context
    ) -> triton.ModelReadyResponse:
        """Say that every model is ready."""
        del request, context
        return triton.ModelReadyResponse(ready=True)

    async def ModelStreamInfer(  # noqa: N802 - Triton's name
        self, requests: AsyncIterator[triton.ModelInferRequest], context: Context
    ) -> None:
        """Write the pieces."""
        async for request in requests:
            count = _max_output_tokens(request)
            await context.write(_response(request, {}))
            await asyncio.sleep(PREFILL_S)
            piece = _response(request, {contract.TEXT: "word ", contract.TOKEN_IDS: [7]})
            for _ in range(count - 1):
                await context.write(piece)
            last: dict[str, contract.Value] = {
                contract.TEXT: "end.",
                contract.TOKEN_IDS: [7],
                contract.FINISH_REASON: "length",
                contract.TIMINGS: [0, 0, 0],
            }
            await context.write(_response(request, last, is_final=True))


def _max_output_tokens(request: triton.ModelInferRequest) -> int:
    for tensor, data in zip(request.inputs, request.raw_input_contents, strict=True):
        if tensor.name == contract.MAX_OUTPUT_TOKENS:
            return int(str(contract.decode(contract.INPUTS[tensor.name], data)))
    return 1


def _response(
    request: triton.ModelInferRequest,
    values: dict[str, contract.Value],
    *,
    is_final: bool = False,
) -> triton.ModelStreamInferResponse:
    response = triton.ModelInferResponse(model_name=request.model_name, id=request.id)
    response.parameters[contract.FINAL].bool_param = is_final
    for name, value in values.items():
        tensor = contract.OUTPUTS[name]
        count, data = contract.encode(tensor, value)
        response.outputs.add(name=name, datatype=tensor.datatype, shape=[count])
        response.raw_output_contents.append(data)
    return triton.ModelStreamInferResponse(infer_response=response)


async def _serve(port: int) -> None:
    server = grpc.aio.server(options=OPTIONS)
    triton_grpc.add_GRPCInferenceServiceServicer_to_server(MockTriton(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))
