"""A process of the mesh: reads its arguments and the configuration, and serves its links."""

import argparse
import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import grpc
import uvloop
from prometheus_client import CollectorRegistry, start_http_server

from catenary.config.v1.mesh_pb2 import MeshConfig
from catenary.config.v1.models_pb2 import ModelsConfig
from services import config, reload, remote, server, tracing
from services.catalogue import Catalogue, RemoteCatalogue
from services.chain import ORDER, SAFETY
from services.checks import Checker, RemoteChecker
from services.config import ConfigError
from services.hop import Hop
from services.link import Link
from services.logs import configure_logging
from services.served import Served
from services.telemetry import HopMetrics
from services.unary import RemoteUnary, Unary
from services.unary_hop import UnaryHop

logger = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class Process:
    """What the links of one process are built with."""

    config: MeshConfig
    served: Served
    """The models that are to be served."""
    tracing: tracing.Tracing
    registry: CollectorRegistry
    """Where a link registers metrics of its own."""
    metrics: HopMetrics
    triton_address: str
    """Triton's gRPC address."""
    upstream_address: str
    """Where the next link is reached; empty in the process of the last."""
    repository: Path | None
    """The folder from which the mesh's own Triton serves; None where the Triton is not ours."""
    policy_file: Path
    """The safety policy; there may be no such file."""
    policy_kept: Path | None
    """The policy that was in force last, for a process that starts again; None: it is not kept."""
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Closes what the links hold when the process ends."""
    opening: list[Callable[[], Awaitable[None]]] = field(
        default_factory=list[Callable[[], Awaitable[None]]]
    )
    """What must be done before the process serves."""

    def hop(self, name: str, link: Link) -> Link:
        """Put the observer of its hop round a link."""
        return Hop(name, link, self.metrics, self.tracing, self.served.labels)

    def unary_hop(self, name: str, unary: Unary) -> Unary:
        """Put the observer of its hop round what answers single requests."""
        return UnaryHop(name, unary, self.metrics, self.tracing, self.served.labels)

    def upstream_of(self, name: str) -> Link:
        """Connect to the link that follows `name` in the chain."""
        upstream = ORDER[ORDER.index(name) + 1]
        channel = self.channel(self.upstream_address, upstream)
        return remote.RemoteLink(upstream, channel, self.tracing)

    def unary_of(self, name: str) -> Unary:
        """Connect to a link that answers single requests."""
        return RemoteUnary(name, self.channel(self.upstream_address, name), self.tracing)

    def checker(self) -> Checker:
        """Connect to who knows the safety policy."""
        return RemoteChecker(SAFETY, self.channel(self.upstream_address, SAFETY), self.tracing)

    def catalogue(self) -> Catalogue:
        """Connect to who knows the models: the last link."""
        return RemoteCatalogue(self.channel(self.upstream_address, ORDER[-1]))

    def follow(
        self,
        file: Path,
        taken: reload.Snapshot | None,
        load: Callable[[], Loaded],
        take: Callable[[Loaded], None],
        refuse: Callable[[ConfigError], None],
    ) -> None:
        """Follow a file for as long as the process serves; see `reload.follow`."""

        async def begin() -> None:
            following = asyncio.create_task(reload.follow(file, taken, load, take, refuse))
            self.closing.push_async_callback(_cancelled, following)

        self.opening.append(begin)

    def channel(self, address: str, authority: str) -> grpc.aio.Channel:
        """Open a channel that closes with the process."""
        channel = remote.connect(address, authority, self.tracing)
        self.closing.push_async_callback(channel.close)
        return channel


class _Read(NamedTuple):
    """What the files of the configuration say."""

    config: MeshConfig
    models: ModelsConfig
    models_were: reload.Snapshot | None
    """The file of the models, as it was read."""
    refused: config.ConfigError | None
    """Why it is not what is served."""


Build = Callable[[Process], Awaitable[Sequence[server.Service]]]
"""Builds what a process serves."""


def main(name: str, build: Build) -> None:
    """Run the process until it is told to stop; exit with 1 and one line when it cannot start."""
    parser = argparse.ArgumentParser(prog=f"catenary {name}")
    parser.add_argument("--config", type=Path, required=True, help="mesh.yaml")
    parser.add_argument(
        "--models", type=Path, help="models.yaml; without, the one beside mesh.yaml"
    )
    parser.add_argument(
        "--models-kept",
        type=Path,
        help="the models that were served last, served on while models.yaml cannot be used",
    )
    parser.add_argument(
        "--policy-kept",
        type=Path,
        help="the safety policy that was in force last, kept while its file cannot be used",
    )
    parser.add_argument("--listen", required=True, help="host:port to serve gRPC on")
    parser.add_argument("--metrics", required=True, help="host:port to serve metrics on")
    parser.add_argument("--upstream", default="", help="host:port of the next link")
    parser.add_argument("--triton", default="", help="host:port of Triton's gRPC")
    parser.add_argument("--repository", type=Path, help="the folder that Triton serves models from")
    parser.add_argument("--check", action="store_true", help="read the configuration and exit")
    arguments = parser.parse_args()
    arguments.models = arguments.models or config.beside(arguments.config)
    configure_logging(name)
    try:
        read = _read(arguments)
        if not arguments.check:
            uvloop.run(_run(name, build, read, arguments))
    except (config.ConfigError, OSError, ValueError) as error:
        sys.exit(f"catenary {name}: {error}")


def _read(arguments: argparse.Namespace) -> _Read:
    loaded, models_were = config.load(arguments.config), reload.snapshot(arguments.models)
    if arguments.models_kept is None:
        models = config.load_models(arguments.models)
        config.check_aliases(arguments.config, loaded.router.aliases, models)
        return _Read(loaded, models, models_were, None)
    models = config.load_models(arguments.models_kept)
    try:
        models = models if models_were is None else _following(models, loaded, arguments)
    except config.ConfigError as error:
        logger.error("configuration refused", extra={"problem": str(error)})  # noqa: TRY400
        return _Read(loaded, models, models_were, error)
    return _Read(loaded, models, models_were, None)


def _following(
    served: ModelsConfig, loaded: MeshConfig, arguments: argparse.Namespace
) -> ModelsConfig:
    """Read the models that are to follow those that are served, and keep them.

    Raises:
        ConfigError: they cannot be used.
    """
    following = config.replace_models(arguments.models, served)
    config.check_aliases(arguments.config, loaded.router.aliases, following)
    if arguments.models_kept is not None:
        config.keep_models(following, arguments.models_kept)
    return following


async def _run(name: str, build: Build, read: _Read, arguments: argparse.Namespace) -> None:
    loaded = read.config
    registry = CollectorRegistry()
    with tracing.exporting(loaded.telemetry.otlp_endpoint, f"catenary-{name}") as spans:
        process = Process(
            config=loaded,
            served=Served(read.models, loaded.router.aliases),
            tracing=spans,
            registry=registry,
            metrics=HopMetrics(registry),
            triton_address=loaded.inference.triton_address or arguments.triton,
            upstream_address=arguments.upstream,
            repository=None if loaded.inference.triton_address else arguments.repository,
            policy_file=config.policy_file(arguments.config, loaded),
            policy_kept=arguments.policy_kept,
        )

        if read.refused is not None:
            process.served.refuse(read.refused)

        def next_models() -> ModelsConfig:
            return _following(process.served.config, loaded, arguments)

        host, _, port = arguments.metrics.rpartition(":")
        metrics_server, metrics_thread = start_http_server(int(port), host, registry)
        try:
            async with process.closing:
                services = await build(process)
                process.follow(
                    arguments.models,
                    read.models_were,
                    next_models,
                    process.served.take,
                    process.served.refuse,
                )
                for opened in process.opening:
                    await opened()
                # What is there now stays: the collector need not walk through it again and again.
                gc.collect()
                gc.freeze()
                drain_s = loaded.server.drain.ToNanoseconds() / 1e9
                await server.serve(services, arguments.listen, spans, drain_s)
        finally:
            metrics_server.shutdown()
            metrics_server.server_close()
            await asyncio.to_thread(metrics_thread.join)


async def _cancelled(task: asyncio.Task[NoReturn]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
