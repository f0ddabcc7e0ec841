"""All five links in one process: the placement `single`."""

from collections.abc import Callable, Sequence

from services.cache import Cache
from services.chain import SAFETY, compose
from services.gateway.link import Gateway
from services.gateway.places import Places
from services.gateway.surfaces import surfaces
from services.gateway.unary import GatewayChecker, GatewayUnary
from services.inference import Inference
from services.inference.fleet import launched
from services.inference.load import LoadReports
from services.link import Link
from services.process import Process, main
from services.router import Router
from services.safety import Safety, SafetyChecker, SafetyUnary, set_up
from services.server import Service


async def build(process: Process) -> Sequence[Service]:
    """Compose the chain, each link with the observer of its hop."""
    config, registry = process.config, process.registry

    def hop(name: str, wrap: Callable[[Link], Link]) -> Callable[[Link], Link]:
        return lambda upstream: process.hop(name, wrap(upstream))

    fleet = launched(process, LoadReports())
    inference = Inference(fleet.models, fleet)
    places = Places(config.gateway.max_calls)
    policies, inspector = await set_up(process)
    chain = compose(
        hop("gateway", lambda upstream: Gateway(upstream, config.gateway, places)),
        hop(
            SAFETY,
            lambda upstream: Safety(upstream, policies, inspector, config.safety.max_prompt_chars),
        ),
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
    max_chars = config.safety.max_prompt_chars
    checked = SafetyUnary(process.unary_hop("inference", inference), policies, inspector, max_chars)
    unary = GatewayUnary(
        process.unary_hop(SAFETY, checked), config.gateway, places, config.router.aliases
    )
    checker = SafetyChecker(policies, inspector.looking, max_chars)
    return surfaces(
        chain,
        process.unary_hop("gateway", unary),
        GatewayChecker(checker, config.gateway, places),
        fleet,
        process.served,
        process.tracing,
    )


if __name__ == "__main__":
    main("mesh", build)
