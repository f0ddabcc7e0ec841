"""Meshes to measure, started as a person starts them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local import ports
from services.chain import ORDER

POCKET: Mapping[str, Any] = {
    "name": "pocket",
    "path": str(Path(__file__).resolve().parents[1] / "models" / "pocket"),
}
"""The model of the project, as models.yaml names it."""

_CATENARY = Path(sys.executable).with_name("catenary")


@contextmanager
def mesh(
    folder: Path,
    placement: str,
    base: int,
    models: Sequence[Mapping[str, Any]],
    triton_address: str | None = None,
) -> Iterator[ports.Ports]:
    """Run a mesh for as long as the block runs; give its ports.

    It stands before the Triton at the address, or before one of its own.

    Raises:
        RuntimeError: the mesh did not become ready.
    """
    config = folder / f"{placement}.yaml"
    config.write_text(f"inference:\n  triton_address: {triton_address}\n" if triton_address else "")
    models_file = folder / f"{placement}.models.yaml"
    models_file.write_text(json.dumps({"models": models}))
    command = [
        *(str(_CATENARY), "up", "--config", str(config), "--models", str(models_file)),
        *("--placement", placement, "--port-base", str(base), "--state-dir", str(folder)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            if not any("Ready after" in line for line in process.stdout):
                raise RuntimeError(f"the {placement} mesh did not start: {' '.join(command)}")
            yield ports.based(base)
        finally:
            process.terminate()


def gateway(listens: ports.Ports) -> str:
    """Return where the gateway is called without Envoy."""
    return f"{ports.HOST}:{listens.link(ORDER[0])}"


def inference(listens: ports.Ports) -> str:
    """Return where the inference link is called by itself, when the links are split."""
    return f"{ports.HOST}:{listens.link(ORDER[-1])}"


def edge(listens: ports.Ports) -> str:
    """Return where Envoy takes calls."""
    return f"{ports.HOST}:{listens.edge}"


def triton(listens: ports.Ports) -> str:
    """Return where Triton takes calls."""
    return f"{ports.HOST}:{listens.triton_grpc}"
