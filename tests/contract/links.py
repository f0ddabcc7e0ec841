"""Every link of the mesh that has an upstream, as it stands in the chain: with the hop round it."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from catenary.config.v1.mesh_pb2 import CacheConfig, GatewayConfig, RouterConfig
from services.cache import Cache
from services.chain import Wrapper, compose
from services.gateway.link import Gateway
from services.gateway.places import Places
from services.hop import Hop
from services.link import Link
from services.router import Router
from services.telemetry import HopMetrics
from services.tracing import Tracing
from tests.fakes import Clock
from tests.guarding import guarded

MODELS = {"pocket"}


def gateway(upstream: Link) -> Link:
    config = GatewayConfig(max_calls=16)
    config.default_deadline.FromSeconds(60)
    return hop("gateway", Gateway(upstream, config, Places(config.max_calls)))


def safety(upstream: Link) -> Link:
    return hop("safety", guarded(upstream))


def denying_safety(upstream: Link) -> Link:
    return hop("safety", guarded(upstream, deny=["aab", "zzz"]))


def cache(upstream: Link) -> Link:
    config = CacheConfig(max_bytes=1024 * 1024)
    config.ttl.FromSeconds(60)
    link = Cache.configured(upstream, config, {"pocket": 1}, CollectorRegistry(), Clock())
    return hop("cache", link)


def router(upstream: Link) -> Link:
    return hop("router", Router.configured(upstream, RouterConfig(), MODELS, CollectorRegistry()))


def hop(name: str, link: Link) -> Link:
    return Hop(name, link, HopMetrics(CollectorRegistry()), Tracing(), MODELS)


def chain(upstream: Link) -> Link:
    return compose(gateway, denying_safety, cache, router, terminal=upstream)


WRAPPERS: Mapping[str, Wrapper] = {
    "hop": lambda upstream: hop("inference", upstream),
    "gateway": gateway,
    "safety": safety,
    "denying safety": denying_safety,
    "cache": cache,
    "router": router,
    "chain": chain,
}
