"""The safety link alone, as a process."""

from collections.abc import Sequence

from services.process import Process, main
from services.safety import Safety
from services.server import Service, generation


def build(process: Process) -> Sequence[Service]:
    """Build the link in front of the cache's process."""
    upstream = process.upstream_of("safety")
    link = Safety.configured(upstream, process.config.safety, process.registry)
    return [generation(process.hop("safety", link), process.tracing)]


if __name__ == "__main__":
    main("safety", build)
