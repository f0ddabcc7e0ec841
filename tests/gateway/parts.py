"""The gateway over a given link, in process and as its callers reach it."""

from contextlib import AsyncExitStack

import grpc

from catenary.config.v1.mesh_pb2 import GatewayConfig
from catenary.config.v1.models_pb2 import ModelsConfig
from catenary.v1 import generation_pb2, models_pb2
from services import remote, server
from services.config import DEFAULTS
from services.gateway.link import Gateway
from services.gateway.places import Places
from services.gateway.surfaces import surfaces
from services.gateway.unary import GatewayChecker, GatewayUnary
from services.link import Link
from services.served import Served
from services.tracing import Tracing
from services.unary import Unary
from tests.fakes import Answering, Catalogued, Checking

MODELS = {
    name: models_pb2.Model(
        name=name,
        context_window=1024,
        engine="openvino",
        owner="catenary",
        created_unix_s=1_700_000_000,
    )
    for name in ("pocket", "answers")
}


def gateway(upstream: Link, *, max_calls: int = 8) -> Gateway:
    config = gateway_config(max_calls)
    return Gateway(upstream, config, Places(config.max_calls))


def gateway_unary(upstream: Unary, places: Places | None = None) -> GatewayUnary:
    config = gateway_config(max_calls=8)
    return GatewayUnary(upstream, config, places or Places(8), {"alias": "minilm"})


def gateway_config(max_calls: int) -> GatewayConfig:
    config = GatewayConfig()
    config.CopyFrom(DEFAULTS.gateway)
    config.max_calls = max_calls
    return config


async def serve(
    upstream: Link, closing: AsyncExitStack, unary: Unary | None = None
) -> grpc.aio.Channel:
    """Serve every surface of a gateway over a link, and connect to it."""
    return await serve_bare(gateway(upstream), closing, gateway_unary(unary or Answering()))


async def serve_bare(
    link: Link, closing: AsyncExitStack, unary: Unary | None = None
) -> grpc.aio.Channel:
    """Serve every surface of a link that stands where the gateway does, and connect to it."""
    tracing = Tracing()
    checker = GatewayChecker(Checking(), gateway_config(max_calls=8), Places(8))
    services = surfaces(
        link,
        unary or Answering(),
        checker,
        Catalogued(MODELS),
        Served(ModelsConfig(), {}),
        tracing,
    )
    port = await closing.enter_async_context(server.serving(services, "127.0.0.1:0", tracing, 0))
    channel = remote.connect(f"127.0.0.1:{port}", "gateway", tracing)
    closing.push_async_callback(channel.close)
    return channel


def a_token(
    text: str, logprob: float, *rivals: generation_pb2.TokenLogprob
) -> generation_pb2.TokenLogprob:
    token = generation_pb2.TokenLogprob(logprob=logprob, token_bytes=text.encode(), top=rivals)
    token.token = text
    return token
