"""The router alone, as a process."""

from collections.abc import Sequence

from services.process import Process, main
from services.router import Router
from services.server import Service, generation


async def build(process: Process) -> Sequence[Service]:
    """Build the link in front of the inference link's process."""
    upstream = process.upstream_of("router")
    link = Router.configured(
        upstream, process.config.router, process.served.names, process.registry
    )
    return [generation(process.hop("router", link), process.tracing)]


if __name__ == "__main__":
    main("router", build)
