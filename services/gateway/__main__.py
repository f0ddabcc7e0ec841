"""The gateway alone, as a process."""

from collections.abc import Sequence

from services.chain import SAFETY
from services.gateway.link import Gateway
from services.gateway.places import Places
from services.gateway.surfaces import surfaces
from services.gateway.unary import GatewayChecker, GatewayUnary
from services.process import Process, main
from services.server import Service


async def build(process: Process) -> Sequence[Service]:
    """Build the gateway round the link that follows it."""
    config = process.config
    places = Places(config.gateway.max_calls)
    gateway = Gateway(process.upstream_of("gateway"), config.gateway, places)
    unary = GatewayUnary(process.unary_of(SAFETY), config.gateway, places, config.router.aliases)
    return surfaces(
        process.hop("gateway", gateway),
        process.unary_hop("gateway", unary),
        GatewayChecker(process.checker(), config.gateway, places),
        process.catalogue(),
        process.served,
        process.tracing,
    )


if __name__ == "__main__":
    main("gateway", build)
