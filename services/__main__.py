"""All five links in one process: the placement `single`."""

from collections.abc import Callable, Sequence

from services.cache import Cache
from services.chain import compose
from services.gateway.link import Gateway
from services.gateway.surfaces import surfaces
from services.inference import Inference
from services.inference.backends import resources
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

    inference = Inference.configured(config.inference, process.models, resources(process))
    chain = compose(
        hop("gateway", lambda upstream: Gateway(upstream, config.gateway)),
        hop("safety", lambda upstream: Safety.configured(upstream, config.safety, registry)),
        hop("cache", lambda upstream: Cache.configured(upstream, config.cache, registry)),
        hop(
            "router",
            lambda upstream: Router.configured(
                upstream, config.router, process.models.keys(), registry
            ),
        ),
        terminal=process.hop("inference", inference),
    )
    return surfaces(chain, process.models, process.tracing)


if __name__ == "__main__":
    main("mesh", build)
