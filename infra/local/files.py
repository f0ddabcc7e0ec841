"""The files that are rendered for the parts of a mesh, and where they are in its folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from catenary.config.v1.mesh_pb2 import MeshConfig
from infra.envoy import render as envoy
from infra.local.ports import HOST, Ports
from infra.triton import placement
from infra.triton import server as triton


def logs(folder: Path) -> Path:
    """Return where the parts' logs are."""
    return folder / "logs"


def triton_models(folder: Path) -> Path:
    """Return where Triton's model repository is."""
    return folder / "triton" / "models"


def triton_backends(folder: Path) -> Path:
    """Return where Triton's backends are."""
    return folder / "triton" / "backends"


def models_kept(folder: Path) -> Path:
    """Return where the links keep the models that they serve."""
    return folder / "models.kept.yaml"


def policy_kept(folder: Path) -> Path:
    """Return where the safety link keeps the policy that is in force."""
    return folder / "policy.kept"


def envoy_config(folder: Path) -> Path:
    """Return where Envoy's configuration is."""
    return folder / "envoy.yaml"


def write_triton(folder: Path) -> None:
    """Write what Triton needs to start; the inference link puts the models into its repository.

    Raises:
        FileNotFoundError: Triton is not installed, or not for this Python.
    """
    placement.clear(triton_models(folder))
    triton.link_backend(triton_backends(folder))


def write_envoy(
    folder: Path,
    config: MeshConfig,
    ports: Ports,
    addresses: Mapping[str, Sequence[str]],
    mesh_port: int | None,
) -> None:
    """Write what Envoy reads; `addresses` are those of each link's replicas."""
    descriptors = folder / "descriptors.pb"
    descriptors.write_bytes(envoy.descriptors())
    rendered = envoy.render(
        envoy.Envoy(
            edge_port=ports.edge,
            admin_port=ports.admin,
            replicas=addresses,
            limits=config.edge,
            descriptors=descriptors,
            mesh_port=mesh_port,
            otlp_endpoint=config.telemetry.otlp_endpoint,
            host=HOST,
        )
    )
    envoy_config(folder).write_text(rendered, encoding="utf-8")
