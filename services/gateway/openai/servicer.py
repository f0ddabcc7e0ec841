"""Serves `catenary.v1.OpenAI`: OpenAI's bodies over the gateway's link."""

import asyncio
import logging
import time
from contextlib import aclosing
from dataclasses import replace

import grpc
import msgspec
from google.api.httpbody_pb2 import HttpBody

from catenary.v1 import generation_pb2, models_pb2, openai_pb2, openai_pb2_grpc
from services import errors, rpc_status
from services.catalogue import Catalogue
from services.gateway.identity import identified
from services.gateway.models import find
from services.gateway.openai import chunks, completion, embeddings
from services.gateway.openai.body import ChatCompletion
from services.gateway.openai.decode import decode, decode_embedding
from services.gateway.openai.envelope import trailers
from services.gateway.openai.models import described
from services.gateway.openai.params import renamed
from services.gateway.openai.reply import Reply
from services.gateway.openai.request import to_request
from services.link import Call, Events, Link
from services.merge import write_merged
from services.server import has_left
from services.tracing import Tracing
from services.transport import from_context
from services.unary import Unary

logger = logging.getLogger(__name__)

_JSON = completion.CONTENT_TYPE


class OpenAIServicer(openai_pb2_grpc.OpenAIServicer):
    """Answers chat completions and embeddings, and lists models."""

    def __init__(self, link: Link, unary: Unary, catalogue: Catalogue, tracing: Tracing) -> None:
        self._link = link
        self._unary = unary
        self._catalogue = catalogue
        self._tracing = tracing

    async def CreateChatCompletion(  # type: ignore[override]  # noqa: N802 - gRPC's name
        self, request: HttpBody, context: grpc.aio.ServicerContext[HttpBody, HttpBody]
    ) -> None:
        """Write one body of JSON, or server-sent events."""
        call = self._call(context)
        reply = Reply(context)
        try:
            chat = decode(request.data)
            await self._answer(chat, call, reply)
        except errors.MeshError as error:
            await reply.fail(error)
        except Exception as error:
            if has_left(error, context):
                return
            logger.exception("defect", extra={"request_id": call.request_id})
            await reply.fail(errors.internal())

    async def _answer(self, chat: ChatCompletion, call: Call, reply: Reply) -> None:
        try:
            events = self._link.generate(to_request(chat), call)
            if chat.stream:
                await _stream(events, chat, reply)
            else:
                await _complete(events, reply)
        except errors.MeshError as error:
            raise renamed(error, chat) from None

    async def CreateEmbedding(  # noqa: N802 - gRPC's name
        self, request: HttpBody, context: grpc.aio.ServicerContext[HttpBody, HttpBody]
    ) -> HttpBody:
        """Answer with one body of JSON."""
        call = self._call(context)
        try:
            return await self._embed(decode_embedding(request.data), call)
        except errors.MeshError as error:
            await rpc_status.abort(context, error, trailers(error))
        except Exception:
            logger.exception("defect", extra={"request_id": call.request_id})
            internal = errors.internal()
            await rpc_status.abort(context, internal, trailers(internal))

    async def _embed(self, body: embeddings.CreateEmbedding, call: Call) -> HttpBody:
        try:
            response = await self._unary.embed(embeddings.to_request(body), call)
        except errors.MeshError as error:
            raise embeddings.renamed(error, body) from None
        # Two thousand vectors take a tenth of a second to write.
        data = await asyncio.to_thread(embeddings.encode, response, body)
        return HttpBody(content_type=_JSON, data=data)

    def _call(self, context: grpc.aio.ServicerContext[HttpBody, HttpBody]) -> Call:
        call = identified(from_context(context))
        return replace(call, trace=self._tracing.ambient(call.trace))

    async def ListOpenAIModels(  # noqa: N802 - gRPC's name
        self,
        request: openai_pb2.ListOpenAIModelsRequest,  # noqa: ARG002 - gRPC's signature
        context: grpc.aio.ServicerContext[openai_pb2.ListOpenAIModelsRequest, HttpBody],
    ) -> HttpBody:
        """List every model, by name."""
        try:
            cards = await self._catalogue.cards()
        except errors.MeshError as error:
            await rpc_status.abort(context, error, trailers(error))
        listed = [described(cards[name]) for name in sorted(cards)]
        data = msgspec.json.encode({"object": "list", "data": listed})
        return HttpBody(content_type=_JSON, data=data)

    async def GetOpenAIModel(  # noqa: N802 - gRPC's name
        self,
        request: openai_pb2.GetOpenAIModelRequest,
        context: grpc.aio.ServicerContext[openai_pb2.GetOpenAIModelRequest, HttpBody],
    ) -> HttpBody:
        """Describe one model."""
        try:
            model = await find(self._catalogue, models_pb2.GetModelRequest(model=request.model))
        except errors.MeshError as error:
            await rpc_status.abort(context, error, trailers(error))
        return HttpBody(content_type=_JSON, data=msgspec.json.encode(described(model)))


async def _stream(events: Events, chat: ChatCompletion, reply: Reply) -> None:
    options = chat.stream_options
    include_usage = bool(options and options.include_usage)
    encoder = chunks.Chunks(int(time.time()), include_usage=include_usage)

    async def write(event: generation_pb2.GenerateResponse) -> None:
        if data := encoder.encode(event):
            await reply.write(chunks.CONTENT_TYPE, data)

    await write_merged(events, write)


async def _complete(events: Events, reply: Reply) -> None:
    answer = completion.Completion(int(time.time()))
    async with aclosing(events):
        async for event in events:
            answer.add(event)
    await reply.write(_JSON, answer.encode())
