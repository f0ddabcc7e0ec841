"""How `tritonserver` from the nvidia-pytriton wheel is started: files, command, environment."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_HOST = "127.0.0.1"
_FORWARDED = "^(traceparent|tracestate)$"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where Triton listens; all on the loopback interface."""

    grpc: int
    http: int
    metrics: int


def link_backend(directory: Path) -> None:
    """Lay out the Python backend in `directory`, with the stub of this interpreter's version.

    Raises:
        FileNotFoundError: the wheel is not installed, or has no stub for this Python.
    """
    wheel = _wheel()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = wheel / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise FileNotFoundError(f"nvidia-pytriton has no stub for Python {version}: {stub}")
    backend = directory / "python"
    backend.mkdir(parents=True, exist_ok=True)
    for source in (*(wheel / "backends" / "python").glob("*.*"), stub):
        link = backend / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)


def command(ports: Ports, repository: Path, backends: Path, exit_timeout_s: int) -> list[str]:
    """Return the command line; `repository` and `backends` are what this package has written."""
    return [
        str(_wheel() / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        # What stands in the repository is loaded at the start; what comes later, when it is asked.
        "--model-control-mode=explicit",
        "--load-model=*",
        # A model that cannot be loaded is no reason not to serve the others.
        "--exit-on-error=false",
        f"--backend-directory={backends}",
        # Two servers on one machine must not share memory under one name.
        f"--backend-config=python,shm-region-prefix-name={_shared_memory(ports.grpc)}",
        "--disable-auto-complete-config",
        f"--grpc-address={_HOST}",
        f"--grpc-port={ports.grpc}",
        f"--http-address={_HOST}",
        f"--http-port={ports.http}",
        f"--metrics-address={_HOST}",
        f"--metrics-port={ports.metrics}",
        f"--grpc-header-forward-pattern={_FORWARDED}",
        f"--exit-timeout-secs={exit_timeout_s}",
        "--allow-gpu-metrics=false",
        # Its tables of settings would push the lines that matter out of the last ones.
        "--log-info=false",
    ]


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which the server finds its libraries, and its stub this Python.

    The stub ignores PYTHONPATH, and takes the first `python3` of PATH for its own interpreter: that
    is how it comes to the packages of a virtual environment.
    """
    libraries = [
        str(_wheel().parents[1] / "nvidia_pytriton.libs"),
        sysconfig.get_config_var("LIBDIR"),
        inherited.get("LD_LIBRARY_PATH", ""),
    ]
    programs = [sysconfig.get_path("scripts"), inherited.get("PATH", "")]
    return {
        **inherited,
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
        "PATH": os.pathsep.join(filter(None, programs)),
    }


def clear_shared_memory(grpc_port: int) -> None:
    """Give back the shared memory of a server that was killed; none may run on the port."""
    for region in Path("/dev/shm").glob(f"{_shared_memory(grpc_port)}*"):  # noqa: S108 - Linux's
        region.unlink(missing_ok=True)


def _shared_memory(grpc_port: int) -> str:
    return f"catenary-{grpc_port}-"


def _wheel() -> Path:
    # Only the wheel's files are used: importing `pytriton` would start its own machinery.
    return Path(str(metadata.distribution("nvidia-pytriton").locate_file("pytriton/tritonserver")))
