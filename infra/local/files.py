"""The files that are rendered for the parts of a mesh, and where they are in its folder."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from catenary.config.v1.mesh_pb2 import MeshConfig
from infra.envoy import render as envoy
from infra.local.ports import HOST, Ports
from infra.triton import repository
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


def envoy_config(folder: Path) -> Path:
    """Return where Envoy's configuration is."""
    return folder / "envoy.yaml"


def write_triton(folder: Path, config: MeshConfig) -> None:
    """Write what Triton reads.

    Raises:
        FileNotFoundError: Triton is not installed, or not for this Python.
    """
    models = [
        repository.ServedModel(
            name=model.name,
            path=Path(model.path),
            max_sequences=model.max_sequences,
            max_queue=model.max_queue,
            kv_cache_mib=model.kv_cache_mib,
            stream_interval_s=model.stream_interval.ToNanoseconds() / 1e9,
        )
        for model in config.inference.models
    ]
    # A model that is no longer configured must not be served.
    shutil.rmtree(triton_models(folder), ignore_errors=True)
    otlp_endpoint = config.telemetry.otlp_endpoint
    repository.write(triton_models(folder), models, sys.executable, otlp_endpoint)
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
