"""The policy, asked without a mesh."""

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry

from catenary.v1 import safety_pb2 as pb
from services import config
from services.safety import policy
from services.safety.check import checked
from services.safety.detector import Source
from services.safety.looking import Looking
from services.safety.metrics import SafetyMetrics
from services.safety.policy import Policy


async def check_text(
    raw: str, source: str, profile: str, mesh_file: Path
) -> tuple[pb.CheckResponse, str]:
    """Tell what the policy beside a mesh.yaml would do about a text, and which policy that is.

    Args:
        raw: the text.
        source: where it stands, as `Source` spells it.
        profile: any profile of the policy; its default when empty.
        mesh_file: mesh.yaml; where there is none, the policy that ships is asked.

    Raises:
        ConfigError: the configuration cannot be used.
        MeshError: there is no such profile.
    """
    read, named = await asyncio.to_thread(_policy, mesh_file)
    looking = Looking(SafetyMetrics(CollectorRegistry()))
    try:
        own = read.named(profile or read.default)
        return await checked(raw, Source(source), own, looking), named
    finally:
        looking.close()


def _policy(mesh_file: Path) -> tuple[Policy, str]:
    if not mesh_file.exists():
        return policy.load(policy.STANDARD), f"the policy that ships (there is no {mesh_file} here)"
    mesh = config.load(mesh_file)
    file = config.policy_file(mesh_file, mesh)
    read = policy.load(file, mesh.safety.deny)
    if read.file:
        return read, str(file)
    return read, f"the policy that ships (there is no {file.name} beside {mesh_file})"
