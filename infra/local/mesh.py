"""One mesh on this machine, from its configuration to its end."""

import asyncio
import os
import signal

from catenary import health
from catenary.cli import record
from infra.local import files, ports
from infra.local.errors import LocalError
from infra.local.part import Tiers
from infra.local.parts import Plan, in_triton
from infra.local.recording import Recording
from infra.local.supervisor import Report, Supervisor
from services import config

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def prepare(plan: Plan) -> Tiers:
    """Check that the mesh can be started, write what its parts read, and return the parts.

    Raises:
        LocalError: a port is taken.
        OSError: the mesh's folder cannot be written, or Triton is not installed.
    """
    tiers = plan.tiers()
    for part in (part for tier in reversed(tiers) for part in tier):
        for port, role in part.ports.items():
            ports.require_free(port, part.name, role)
    if plan.config.inference.triton_address:
        _require_triton(plan)
    _write(plan)
    return tiers


def _require_triton(plan: Plan) -> None:
    """Check that the Triton that is somebody else's serves the models, as our own would."""
    address = plan.config.inference.triton_address
    models = [model.triton.model or model.name for model in plan.models.models if in_triton(model)]
    try:
        asyncio.run(health.triton(address, models))
    except health.NotReadyError as error:
        raise LocalError(
            f"{plan.config_file}: inference.triton_address: {address}: {error}"
        ) from None


def run(plan: Plan, tiers: Tiers, report: Report) -> None:
    """Run the mesh until SIGINT, SIGTERM or SIGHUP; nothing of it runs afterwards.

    Raises:
        LocalError: a part cannot run.
    """
    mesh = record.MeshRecord(
        pid=os.getpid(),
        placement=plan.placement,
        admin=f"{ports.HOST}:{plan.ports.admin}",
        parts=[],
    )
    supervisor = Supervisor(tiers, files.logs(plan.folder), Recording(report, mesh, plan.folder))
    try:
        asyncio.run(_run(supervisor))
    finally:
        record.remove(plan.folder)


def _write(plan: Plan) -> None:
    files.logs(plan.folder).mkdir(parents=True, exist_ok=True)
    config.keep_models(plan.models, files.models_kept(plan.folder))
    # A mesh that starts anew follows its files, and not what was in force before.
    files.policy_kept(plan.folder).unlink(missing_ok=True)
    if plan.has_triton:
        files.write_triton(plan.folder)
    mesh_port = plan.ports.mesh if plan.placement == "split" else None
    files.write_envoy(plan.folder, plan.config, plan.ports, plan.addresses(), mesh_port)


async def _run(supervisor: Supervisor) -> None:
    stop = asyncio.Event()
    for number in _STOPS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await supervisor.run(stop)
