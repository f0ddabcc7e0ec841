"""Bytes that are no message, sent to a real server."""

import grpc
import pytest

from catenary.v1 import generation_pb2 as pb
from services import remote, rpc_status, server
from services.tracing import Tracing
from tests.fakes import Scripted, answer

GENERATE = "/catenary.v1.Generation/Generate"


@pytest.mark.parametrize("data", [b"rubbish", b"\x12\x02\xff\xfe", b"\x0a\xff\xff\xff\xff\x0f"])
async def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    upstream, tracing = Scripted(answer("hi")), Tracing()
    services = [server.generation(upstream, tracing)]
    async with server.serving(services, "127.0.0.1:0", tracing, 0) as port:
        channel = remote.connect(f"127.0.0.1:{port}", "test", tracing)
        call: grpc.aio.UnaryStreamMultiCallable[bytes, pb.GenerateResponse] = channel.unary_stream(
            GENERATE, response_deserializer=pb.GenerateResponse.FromString
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call(data):
                pass
        await channel.close()
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert rpc_status.from_rpc_error(caught.value, "test").reason_name == "INVALID_REQUEST"
    assert "Decode" not in (caught.value.details() or "")
    assert upstream.requests == []
