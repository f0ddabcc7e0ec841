"""The cache alone, as a process."""

from collections.abc import Sequence

from services.cache import Cache
from services.process import Process, main
from services.server import Service, generation


async def build(process: Process) -> Sequence[Service]:
    """Build the link in front of the router's process."""
    upstream = process.upstream_of("cache")
    versions = process.served.versions
    link = Cache.configured(upstream, process.config.cache, versions, process.registry)
    return [generation(process.hop("cache", link), process.tracing)]


if __name__ == "__main__":
    main("cache", build)
