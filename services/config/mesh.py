"""Reads mesh.yaml: how the mesh behaves, whatever models it serves."""

from pathlib import Path

from catenary.config.v1 import mesh_pb2 as pb
from services.config.defaults import DEFAULTS, complete
from services.config.reader import read


def load(file: Path) -> pb.MeshConfig:
    """Read and validate the whole file, and fill in the defaults.

    Raises:
        ConfigError: the file cannot be read, is not YAML, names an unknown field, or breaks a rule.
    """
    config = read(file, pb.MeshConfig).message
    complete(DEFAULTS, config)
    return config


def policy_file(file: Path, config: pb.MeshConfig) -> Path:
    """Return where the safety policy stands: where the file says, or beside it, if there is one.

    Raises:
        ConfigError: it stands not where the file says.
    """
    policy = file.resolve().parent / (config.safety.policy or "safety.yaml")
    if config.safety.policy and not policy.is_file():
        problem = f"there is no file {str(policy)!r}"
        raise read(file, pb.MeshConfig).error("safety.policy", problem)
    return policy
