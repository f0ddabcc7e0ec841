"""What runs: the file that `catenary up` keeps and `catenary status` reads."""

import os
from pathlib import Path
from typing import Literal

import msgspec

Kind = Literal["envoy", "links", "triton"]

DEFAULT_EDGE_PORT = 8080


class PartRecord(msgspec.Struct):
    """One process."""

    name: str
    kind: Kind
    address: str
    """Where it serves, as host:port; of Envoy, where callers come in."""
    metrics: str
    """The URL of its metrics."""
    pid: int
    started_unix_s: float
    restarts: int


class MeshRecord(msgspec.Struct):
    """One mesh that runs."""

    pid: int
    """The supervisor's."""
    placement: str
    admin: str
    """Where Envoy's admin listens, as host:port."""
    parts: list[PartRecord]


def folder(state_dir: Path | None, port_base: int | None) -> Path:
    """Return the folder of a mesh: its record, its logs, what was rendered for its parts.

    Args:
        state_dir: where all meshes have their folders; `~/.local/state/catenary` when None.
        port_base: tells meshes apart; None is the mesh on the default ports.
    """
    if state_dir is None:
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        state_dir = Path(home) / "catenary"
    return state_dir.resolve() / f"mesh-{port_base or DEFAULT_EDGE_PORT}"


def save(record: MeshRecord, mesh: Path) -> None:
    """Write the record, so that a reader sees either the old one or the new one."""
    written = mesh / "mesh.json.new"
    written.write_bytes(msgspec.json.encode(record))
    written.replace(mesh / "mesh.json")


def load(mesh: Path) -> MeshRecord | None:
    """Return the record of the mesh that runs there; None when none does."""
    try:
        record = msgspec.json.decode((mesh / "mesh.json").read_bytes(), type=MeshRecord)
        # What a supervisor that was killed has left is no mesh.
        os.kill(record.pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError:
        pass
    return record


def remove(mesh: Path) -> None:
    """Delete the record: the mesh has ended."""
    (mesh / "mesh.json").unlink(missing_ok=True)
