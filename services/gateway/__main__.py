"""The gateway alone, as a process."""

from collections.abc import Sequence

from services.gateway.link import Gateway
from services.gateway.surfaces import surfaces
from services.process import Process, main
from services.server import Service


def build(process: Process) -> Sequence[Service]:
    """Build the gateway round the link that follows it."""
    gateway = Gateway(process.upstream_of("gateway"), process.config.gateway)
    return surfaces(process.hop("gateway", gateway), process.models, process.tracing)


if __name__ == "__main__":
    main("gateway", build)
