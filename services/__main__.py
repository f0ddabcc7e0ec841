"""All five links in one process: the placement `single`."""

from collections.abc import Callable, Sequence

from services.cache import Cache
from services.chain import compose
from services.gateway.link import Gateway
from services.gateway.places import Places
from services.gateway.surfaces import surfaces
from services.gateway.unary import GatewayUnary
from services.inference import Inference
from services.inference.fleet import launched
from services.inference.load import LoadReports
from services.link import Link
from services.process import Process, main
from services.router import Router
from services.safety import Safety
from services.server import Service


def build(process: Process) -> Sequence[Service]:
    """Compose the chain, each link with the observer of its hop."""
    config, registry = process.config, process.registry

    def hop(name: str, wrap: Callable[[Link], Link]) -> Callable[[Link], Link]:
        return lambda upstream: process.hop(name, wrap(upstream))

    fleet = launched(process, LoadReports())
    inference = Inference(fleet.models, fleet)
    places = Places(config.gateway.max_calls)
    chain = compose(
        hop("gateway", lambda upstream: Gateway(upstream, config.gateway, places)),
        hop("safety", lambda upstream: Safety.configured(upstream, config.safety, registry)),
        hop(
            "cache",
            lambda upstream: Cache.configured(
                upstream, config.cache, process.served.versions, registry
            ),
        ),
        hop(
            "router",
            lambda upstream: Router.configured(
                upstream, config.router, process.served.names, registry
            ),
        ),
        terminal=process.hop("inference", inference),
    )
    unary = GatewayUnary(
        process.unary_hop("inference", inference), config.gateway, places, config.router.aliases
    )
    return surfaces(
        chain, process.unary_hop("gateway", unary), fleet, process.served, process.tracing
    )


if __name__ == "__main__":
    main("mesh", build)
