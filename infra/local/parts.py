"""Which parts a mesh on one machine has, in each placement."""

import functools
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from catenary import health
from catenary.config.v1.mesh_pb2 import MeshConfig
from catenary.config.v1.models_pb2 import ModelConfig, ModelsConfig
from infra.envoy import render as envoy
from infra.local import files
from infra.local.children import Command
from infra.local.part import Part, Tiers
from infra.local.ports import HOST, Ports
from infra.triton import server as triton
from services.chain import ORDER

Placement = Literal["single", "split"]

_TRITON_EXIT_S = 5
# A process that drains ends by itself; this is for what comes after that.
_AFTER_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start."""

    config_file: Path
    config: MeshConfig
    """What the file says, with every default."""
    models_file: Path
    models: ModelsConfig
    placement: Placement
    replicas: Mapping[str, int]
    """How many processes each link has in `split`; one where it is not named."""
    ports: Ports
    folder: Path
    """Where the files that are rendered for the parts are."""

    @property
    def has_triton(self) -> bool:
        """Whether the mesh has a Triton of its own."""
        if self.config.inference.triton_address:
            return False
        return any(in_triton(model) for model in self.models.models)

    def tiers(self) -> Tiers:
        """Return the parts: Triton, unless it is somebody else's; then the links; then Envoy."""
        return [[_triton(self)] if self.has_triton else [], _links(self), [_envoy(self)]]

    def addresses(self) -> dict[str, list[str]]:
        """Return where Envoy reaches the replicas of each link."""
        links = ORDER if self.placement == "split" else ORDER[:1]
        return {
            link: [_at(self.ports.link(link, replica)) for replica in range(self.count(link))]
            for link in links
        }

    def count(self, link: str) -> int:
        """Return how many processes the link has."""
        return self.replicas.get(link, 1)


def in_triton(model: ModelConfig) -> bool:
    """Tell whether a model lives in the Triton of the mesh, be it its own or somebody else's."""
    has_backend = model.engine in ("in_process", "openai", "embeddings")
    return not has_backend and not model.triton.address


def _at(port: int) -> str:
    return f"{HOST}:{port}"


def _triton(plan: Plan) -> Part:
    ports = plan.ports
    listens = triton.Ports(ports.triton_grpc, ports.triton_http, ports.triton_metrics)
    models, backends = files.triton_models(plan.folder), files.triton_backends(plan.folder)
    address = _at(ports.triton_grpc)
    return Part(
        name="triton",
        kind="triton",
        command=triton.command(listens, models, backends, _TRITON_EXIT_S),
        environment=triton.environment(os.environ),
        probe=functools.partial(health.triton, address, ()),
        address=address,
        metrics=f"http://{_at(ports.triton_metrics)}/metrics",
        ports={
            ports.triton_grpc: "gRPC",
            ports.triton_http: "HTTP",
            ports.triton_metrics: "metrics",
        },
        stop_s=_TRITON_EXIT_S + _AFTER_DRAIN_S,
        clear=functools.partial(triton.clear_shared_memory, ports.triton_grpc),
        # Triton goes on without the process that runs a model's Python, and even says it is ready.
        needs_child=functools.partial(triton_needs, address),
        alive=functools.partial(health.triton, address, ()),
        # When its memory is broken, what reports the crash may wait for ever, and the rest goes on.
        crashes=r"Signal \((4|6|7|8|11)\) received",
    )


async def triton_needs(address: str, child: Command, others: Sequence[Command]) -> bool:
    """Tell whether Triton lacks a child that has ended: the model it ran still counts as ready."""
    script = next((Path(word) for word in child if word.endswith("/model.py")), None)
    # Triton has reloaded the model, and another process runs it.
    if script is None or any(str(script) in other for other in others):
        return False
    try:
        await health.triton(address, [script.parents[1].name])
    except health.NotReadyError:
        return False
    return True


def _links(plan: Plan) -> list[Part]:
    if plan.placement == "single":
        return [_process(plan, ORDER[0], 0, name="mesh", module="services")]
    parts = []
    for link in ORDER:
        count = plan.count(link)
        for replica in range(count):
            name = link if count == 1 else f"{link}-{replica + 1}"
            parts.append(_process(plan, link, replica, name=name, module=f"services.{link}"))
    return parts


def _process(plan: Plan, link: str, replica: int, *, name: str, module: str) -> Part:
    """Return the process of a link; in `single`, that of the first link holds all of them."""
    listen, metrics = plan.ports.link(link, replica), plan.ports.metrics(link, replica)
    if plan.placement == "single" or link == ORDER[-1]:
        beyond = ["--triton", _at(plan.ports.triton_grpc)]
        if plan.has_triton:
            beyond += ["--repository", str(files.triton_models(plan.folder))]
        probe = health.models
    else:
        beyond = ["--upstream", _at(plan.ports.mesh)]
        probe = health.link
    return Part(
        name=name,
        kind="links",
        command=[
            *(sys.executable, "-m", module),
            *("--config", str(plan.config_file.resolve())),
            *("--models", str(plan.models_file.resolve())),
            *("--models-kept", str(files.models_kept(plan.folder))),
            *("--policy-kept", str(files.policy_kept(plan.folder))),
            *("--listen", _at(listen)),
            *("--metrics", _at(metrics)),
            *beyond,
        ],
        probe=functools.partial(probe, _at(listen)),
        address=_at(listen),
        metrics=f"http://{_at(metrics)}/metrics",
        ports={listen: "gRPC", metrics: "metrics"},
        drains=True,
        stop_s=plan.config.server.drain.ToNanoseconds() / 1e9 + _AFTER_DRAIN_S,
    )


def _envoy(plan: Plan) -> Part:
    ports = plan.ports
    admin = _at(ports.admin)
    listens = {ports.edge: "callers", ports.admin: "its admin"}
    if plan.placement == "split":
        listens[ports.mesh] = "calls between links"
    return Part(
        name="envoy",
        kind="envoy",
        command=envoy.command(files.envoy_config(plan.folder), plan.config.edge.workers),
        probe=functools.partial(health.envoy, admin),
        address=_at(ports.edge),
        metrics=f"http://{admin}/stats/prometheus",
        ports=listens,
        telling='"level":"critical"',
    )
