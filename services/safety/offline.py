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


async def check_text(raw: str, source: str, profile: str, mesh_file: Path) -> pb.CheckResponse:
    """Tell what the policy beside a mesh.yaml would do about a text.

    Args:
        raw: the text.
        source: where it stands, as `Source` spells it.
        profile: any profile of the policy; its default when empty.
        mesh_file: mesh.yaml; where there is none, the policy that ships is asked.

    Raises:
        ConfigError: the configuration cannot be used.
        MeshError: there is no such profile.
    """
    read = await asyncio.to_thread(_policy, mesh_file)
    looking = Looking(SafetyMetrics(CollectorRegistry()))
    try:
        return await checked(raw, Source(source), read.named(profile or read.default), looking)
    finally:
        looking.close()


def _policy(mesh_file: Path) -> Policy:
    if not mesh_file.exists():
        return policy.load(policy.STANDARD)
    mesh = config.load(mesh_file)
    return policy.load(config.policy_file(mesh_file, mesh), mesh.safety.deny)
