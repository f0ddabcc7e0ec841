"""A process of the mesh: reads its arguments and the configuration, and serves its links."""

import argparse
import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import uvloop
from prometheus_client import CollectorRegistry, start_http_server

from catenary.config.v1.mesh_pb2 import MeshConfig
from catenary.v1.models_pb2 import Model
from services import config, models, remote, server, tracing
from services.chain import ORDER
from services.hop import Hop
from services.link import Link
from services.logs import configure_logging
from services.telemetry import HopMetrics

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Process:
    """What the links of one process are built with."""

    config: MeshConfig
    models: Mapping[str, Model]
    """The models that are served, by name."""
    tracing: tracing.Tracing
    registry: CollectorRegistry
    """Where a link registers metrics of its own."""
    metrics: HopMetrics
    triton_address: str
    """Triton's gRPC address."""
    upstream_address: str
    """Where the next link is reached; empty in the process of the last."""
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Closes what the links hold when the process ends."""

    def hop(self, name: str, link: Link) -> Link:
        """Put the observer of its hop round a link."""
        names = self.models.keys() | self.config.router.aliases.keys()
        return Hop(name, link, self.metrics, self.tracing, names)

    def upstream_of(self, name: str) -> Link:
        """Connect to the link that follows `name` in the chain."""
        upstream = ORDER[ORDER.index(name) + 1]
        channel = self.channel(self.upstream_address, upstream)
        return remote.RemoteLink(upstream, channel, self.tracing)

    def channel(self, address: str, authority: str) -> grpc.aio.Channel:
        """Open a channel that closes with the process."""
        channel = remote.connect(address, authority, self.tracing)
        self.closing.push_async_callback(channel.close)
        return channel


Build = Callable[[Process], Sequence[server.Service]]
"""Builds what a process serves."""


def main(name: str, build: Build) -> None:
    """Run the process until it is told to stop; exit with 1 and one line when it cannot start."""
    parser = argparse.ArgumentParser(prog=f"catenary {name}")
    parser.add_argument("--config", type=Path, required=True, help="mesh.yaml")
    parser.add_argument("--listen", required=True, help="host:port to serve gRPC on")
    parser.add_argument("--metrics", required=True, help="host:port to serve metrics on")
    parser.add_argument("--upstream", default="", help="host:port of the next link")
    parser.add_argument("--triton", default="", help="host:port of Triton's gRPC")
    parser.add_argument("--check", action="store_true", help="read the configuration and exit")
    arguments = parser.parse_args()
    configure_logging(name)
    try:
        loaded = config.load(arguments.config)
        served = models.describe(loaded.inference.models)
        if not arguments.check:
            uvloop.run(_run(name, build, loaded, served, arguments))
    except (config.ConfigError, OSError, ValueError) as error:
        sys.exit(f"catenary {name}: {error}")


async def _run(
    name: str,
    build: Build,
    loaded: MeshConfig,
    served: Mapping[str, Model],
    arguments: argparse.Namespace,
) -> None:
    registry = CollectorRegistry()
    with tracing.exporting(loaded.telemetry.otlp_endpoint, f"catenary-{name}") as spans:
        process = Process(
            config=loaded,
            models=served,
            tracing=spans,
            registry=registry,
            metrics=HopMetrics(registry),
            triton_address=loaded.inference.triton_address or arguments.triton,
            upstream_address=arguments.upstream,
        )
        host, _, port = arguments.metrics.rpartition(":")
        metrics_server, metrics_thread = start_http_server(int(port), host, registry)
        try:
            async with process.closing:
                services = build(process)
                # What is there now stays: the collector need not walk through it again and again.
                gc.collect()
                gc.freeze()
                drain_s = loaded.server.drain.ToNanoseconds() / 1e9
                await server.serve(services, arguments.listen, spans, drain_s)
        finally:
            metrics_server.shutdown()
            metrics_server.server_close()
            await asyncio.to_thread(metrics_thread.join)
