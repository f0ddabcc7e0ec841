"""One HTTP response: bodies, and an error in the shape that is still possible."""

import asyncio

import grpc
from google.api.httpbody_pb2 import HttpBody

from services import rpc_status
from services.errors import MeshError
from services.gateway.openai import chunks
from services.gateway.openai.envelope import trailers


class Reply:
    """Writes to one call; Envoy makes it HTTP."""

    def __init__(self, context: grpc.aio.ServicerContext[HttpBody, HttpBody]) -> None:
        self._context = context
        self._begun = False

    async def write(self, content_type: str, data: bytes) -> None:
        """Send a body; with the first of them, the HTTP status is 200."""
        self._begun = True
        try:
            await self._context.write(HttpBody(content_type=content_type, data=data))
        except grpc.aio.InternalError:
            # A caller who leaves in the midst of a write fails it before this task is cancelled.
            if self._context.cancelled():
                raise asyncio.CancelledError from None
            raise

    async def fail(self, error: MeshError) -> None:
        """Tell the error: by the call's status, or by an event where a stream has begun."""
        if self._begun:
            await self.write(chunks.CONTENT_TYPE, chunks.failed(error))
        else:
            await rpc_status.abort(self._context, error, trailers(error))
