"""A gRPC server that stands behind Envoy in place of the links; a model's name says what it does.

It runs in a test, or as a process that can be killed: `python -m tests.infra.upstream HOST:PORT`.
"""

# ruff: noqa: N802 - gRPC's names

import asyncio
import base64
import json
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.api.httpbody_pb2 import HttpBody
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from catenary.v1 import (
    embeddings_pb2,
    embeddings_pb2_grpc,
    generation_pb2,
    generation_pb2_grpc,
    message_pb2,
    models_pb2,
    models_pb2_grpc,
    openai_pb2,
    openai_pb2_grpc,
    safety_pb2_grpc,
    tokens_pb2,
    tokens_pb2_grpc,
)
from services import errors, rpc_status
from services.checks import SafetyServicer
from services.tracing import Tracing
from services.transport import OPTIONS
from tests.fakes import Checking

MODELS = ("echo", "org/echo")
RETRY_AFTER_S = 2.0
LARGE_BYTES = 3_000_000
LARGE_VECTOR = 5_000_000
"""Components of a vector that, written as text, is larger than a request may be."""

_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class Seen:
    """What a server saw of its callers, and how a test holds a stream back."""

    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets the streams of model `held` go on."""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the caller of a held stream has left."""
    metadata: dict[str, str] = field(default_factory=dict)
    """The metadata of the last call."""
    calls: int = 0

    def call(self, context: _Context) -> None:
        pairs = context.invocation_metadata() or ()
        self.metadata = {key: value for key, value in pairs if isinstance(value, str)}
        self.calls += 1

    async def hold(self) -> None:
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@dataclass(frozen=True, slots=True)
class OpenAI(openai_pb2_grpc.OpenAIServicer):
    seen: Seen

    async def CreateChatCompletion(  # type: ignore[override]
        self, request: HttpBody, context: _Context
    ) -> None:
        self.seen.call(context)
        try:
            asked = json.loads(request.data)
        except ValueError:
            await abort_openai(context, errors.invalid_field("", "the body is not JSON"))
        if asked["model"] == "stopping":
            # What gRPC itself answers: no details, and nothing in OpenAI's shape.
            await context.abort(grpc.StatusCode.UNAVAILABLE, "server is shutting down")
        if asked["model"] == "late":
            await context.send_initial_metadata(())
        if asked["model"] in {"limited", "late"}:
            await abort_openai(context, errors.queue_full(asked["model"], RETRY_AFTER_S))
        if not asked.get("stream"):
            await context.write(_json(_completion(asked)))
            return
        await context.write(_sse(_chunk("one")))
        if asked["model"] == "broken":
            await rpc_status.abort(context, errors.internal())
        if asked["model"] == "held":
            await self.seen.hold()
        await context.write(_sse(_chunk("two")))
        await context.write(HttpBody(data=b"data: [DONE]\n\n"))

    async def CreateEmbedding(self, request: HttpBody, context: _Context) -> HttpBody:
        self.seen.call(context)
        asked = json.loads(request.data)
        if asked["model"] == "limited":
            await abort_openai(context, errors.queue_full("limited", RETRY_AFTER_S))
        packed = struct.pack("<2f", 0.5, -1)
        if asked["model"] == "large":
            packed = bytes(4 * LARGE_VECTOR)
        is_packed = asked["encoding_format"] == "base64"
        vector = base64.b64encode(packed).decode() if is_packed else [0.5, -1]
        data = [{"object": "embedding", "index": 0, "embedding": vector}]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return _json({"object": "list", "data": data, "model": asked["model"], "usage": usage})

    async def ListOpenAIModels(
        self, _: openai_pb2.ListOpenAIModelsRequest, context: _Context
    ) -> HttpBody:
        self.seen.call(context)
        return _json({"object": "list", "data": [_model(name) for name in MODELS]})

    async def GetOpenAIModel(
        self, request: openai_pb2.GetOpenAIModelRequest, context: _Context
    ) -> HttpBody:
        self.seen.call(context)
        if request.model not in MODELS:
            await abort_openai(context, errors.model_not_found(request.model))
        return _json(_model(request.model))


@dataclass(frozen=True, slots=True)
class Generation(generation_pb2_grpc.GenerationServicer):
    seen: Seen

    async def Generate(  # type: ignore[override]
        self, request: generation_pb2.GenerateRequest, context: _Context
    ) -> None:
        self.seen.call(context)
        if request.model == "limited":
            retry_after = (("retry-after", str(int(RETRY_AFTER_S))),)
            await rpc_status.abort(
                context, errors.queue_full("limited", RETRY_AFTER_S), retry_after
            )
        started = generation_pb2.Started(model=request.model)
        await context.write(generation_pb2.GenerateResponse(started=started))
        if request.model == "broken":
            await rpc_status.abort(context, errors.internal())
        if request.model == "held":
            await self.seen.hold()
        text = "".join(part.text for turn in request.messages for part in turn.content)
        delta = generation_pb2.Delta(text=text)
        await context.write(generation_pb2.GenerateResponse(delta=delta))
        finish = generation_pb2.ChoiceFinish(finish_reason=message_pb2.FINISH_REASON_STOP)
        finished = generation_pb2.Finished(choices=[finish])
        await context.write(generation_pb2.GenerateResponse(finished=finished))


@dataclass(frozen=True, slots=True)
class Single(embeddings_pb2_grpc.EmbeddingsServicer, tokens_pb2_grpc.TokensServicer):
    seen: Seen

    async def Embed(
        self, request: embeddings_pb2.EmbedRequest, context: _Context
    ) -> embeddings_pb2.EmbedResponse:
        self.seen.call(context)
        if request.model == "limited":
            await rpc_status.abort(context, errors.queue_full("limited", RETRY_AFTER_S))
        values = [0.5] * LARGE_VECTOR if request.model == "large" else [0.5, -1]
        vectors = [embeddings_pb2.Embedding(values=values) for _ in request.texts]
        return embeddings_pb2.EmbedResponse(embeddings=vectors, served_model=request.model)

    async def CountTokens(
        self, request: tokens_pb2.CountTokensRequest, context: _Context
    ) -> tokens_pb2.CountTokensResponse:
        self.seen.call(context)
        return tokens_pb2.CountTokensResponse(input_tokens=len(request.messages))


@dataclass(frozen=True, slots=True)
class Models(models_pb2_grpc.ModelsServicer):
    seen: Seen

    async def ListModels(
        self, _: models_pb2.ListModelsRequest, context: _Context
    ) -> models_pb2.ListModelsResponse:
        self.seen.call(context)
        return models_pb2.ListModelsResponse(models=[models_pb2.Model(name=n) for n in MODELS])

    async def GetModel(
        self, request: models_pb2.GetModelRequest, context: _Context
    ) -> models_pb2.Model:
        self.seen.call(context)
        if request.model not in MODELS:
            await rpc_status.abort(context, errors.model_not_found(request.model))
        return models_pb2.Model(name=request.model, context_window=512)


async def abort_openai(context: _Context, error: errors.MeshError) -> NoReturn:
    """Fail as the gateway does: a status, and beside it the same in OpenAI's shape."""
    envelope = json.dumps({"error": {"message": error.message, "code": error.reason_name.lower()}})
    metadata = [("x-catenary-error", envelope)]
    if error.retry_after_s is not None:
        metadata.append(("retry-after", str(int(error.retry_after_s))))
    await rpc_status.abort(context, error, tuple(metadata))


def _json(value: object) -> HttpBody:
    return HttpBody(content_type="application/json", data=json.dumps(value).encode())


def _sse(value: object) -> HttpBody:
    return HttpBody(
        content_type="text/event-stream", data=f"data: {json.dumps(value)}\n\n".encode()
    )


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "tests"}


def _completion(asked: dict[str, Any]) -> dict[str, object]:
    sent = sum(len(message["content"]) for message in asked["messages"])
    content = "x" * LARGE_BYTES if asked["model"] == "large" else f"{sent} characters"
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


def _chunk(text: str) -> dict[str, object]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "m",
        "choices": [choice],
    }


@asynccontextmanager
async def serving(address: str, seen: Seen) -> AsyncIterator[str]:
    """Serve until left; yields the address, its port chosen where it was 0."""
    server = grpc.aio.server(options=[*OPTIONS, ("grpc.so_reuseport", 0)])
    openai_pb2_grpc.add_OpenAIServicer_to_server(OpenAI(seen), server)
    generation_pb2_grpc.add_GenerationServicer_to_server(Generation(seen), server)
    embeddings_pb2_grpc.add_EmbeddingsServicer_to_server(Single(seen), server)
    tokens_pb2_grpc.add_TokensServicer_to_server(Single(seen), server)
    models_pb2_grpc.add_ModelsServicer_to_server(Models(seen), server)
    checks = SafetyServicer(Checking(), Tracing(), lambda call: call)
    safety_pb2_grpc.add_SafetyServicer_to_server(checks, server)
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    names = [
        service.full_name
        for contract in (openai_pb2, generation_pb2, embeddings_pb2, tokens_pb2, models_pb2)
        for service in contract.DESCRIPTOR.services_by_name.values()
    ]
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"{address.rpartition(':')[0]}:{port}"
    finally:
        await server.stop(None)


async def _main(address: str) -> None:
    async with serving(address, Seen()):
        print("serving", flush=True)  # noqa: T201 - the parent waits for it
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
