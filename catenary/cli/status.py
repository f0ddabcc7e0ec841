"""`catenary status`: asks every part of a mesh on this machine how it is."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from catenary import health
from catenary.cli import record
from catenary.cli.models import state
from catenary.cli.options import PortBase, StateDir
from catenary.client import CallError, Client
from catenary.v1.models_pb2 import ListModelsResponse, Model
from catenary.v1.safety_pb2 import GetPolicyResponse

Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Condition:
    """How a part is."""

    healthy: bool
    text: str
    """`healthy`, or why not."""
    version: str = ""


def status(port_base: PortBase = None, state_dir: StateDir = None) -> None:
    """Show each part's health, address and version; exit with 1 if one is not healthy."""
    mesh = record.load(record.folder(state_dir, port_base))
    if mesh is None:
        where = f" with --port-base {port_base}" if port_base else ""
        typer.echo(f"no mesh is running{where}; `make up` starts one", err=True)
        raise typer.Exit(1)
    conditions, told, policy = asyncio.run(_ask(mesh))
    # A row is a line, in a pipe and in a narrow terminal too: addresses are there to be copied.
    console = Console(width=300)
    console.print(_table(mesh, conditions))
    console.print(f"placement {mesh.placement}{_models(told.models)}", style="dim")
    if policy.digest:
        console.print(_policy(policy), style="dim")
    refusals = [refusal for refusal in (told.refusal, policy.refusal) if refusal]
    for refusal in refusals:
        typer.secho(refusal, fg="red")
    if refusals or not all(condition.healthy for condition in conditions):
        raise typer.Exit(1)


async def _ask(
    mesh: record.MeshRecord,
) -> tuple[list[Condition], ListModelsResponse, GetPolicyResponse]:
    """Return how the parts are, and what callers are told of the models and the safety policy."""
    conditions = asyncio.gather(*(_condition(mesh, part) for part in mesh.parts))
    edge = next((part.address for part in mesh.parts if part.kind == "envoy"), None)
    if edge is None:
        return await conditions, ListModelsResponse(), GetPolicyResponse()
    async with Client(edge) as client:
        listed = await _told(client.list_models(), ListModelsResponse())
        policy = await _told(client.safety_policy(), GetPolicyResponse())
    return await conditions, listed, policy


async def _told(asked: Awaitable[Response], nothing: Response) -> Response:
    """Return what callers are told; nothing while nobody is told."""
    try:
        return await asked
    except CallError:
        return nothing


def _models(cards: Sequence[Model]) -> str:
    """Return the models as the rest of a line."""
    told = (f"{card.name} {card.version} {state(card)}" for card in cards)
    return f", models {', '.join(told)}" if cards else ""


def _policy(policy: GetPolicyResponse) -> str:
    """Return in a line which safety policy is in force, for whoever has no profile of his own."""
    file = policy.file or "the one that ships"
    others = [name for name in policy.profiles if name != policy.profile]
    stricter = f", or on request {', '.join(others)}" if others else ""
    return f"safety policy {file}, digest {policy.digest[:12]}, profile {policy.profile}{stricter}"


async def _condition(mesh: record.MeshRecord, part: record.PartRecord) -> Condition:
    try:
        version = await _version(mesh, part)
    except health.NotReadyError as error:
        return Condition(healthy=False, text=str(error))
    return Condition(healthy=True, text="healthy", version=version)


async def _version(mesh: record.MeshRecord, part: record.PartRecord) -> str:
    if part.kind == "triton":
        triton = await health.triton(part.address, ())
        return f"triton {triton}, openvino-genai {metadata.version('openvino-genai')}"
    if part.kind == "envoy":
        return f"envoy {await health.envoy(mesh.admin)}"
    await health.link(part.address)
    return f"catenary {metadata.version('catenary')}"


def _table(mesh: record.MeshRecord, conditions: list[Condition]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("part", "health", "address", "metrics", "version", "pid", "up", "restarts"):
        table.add_column(heading, overflow="fold")
    for part, condition in zip(mesh.parts, conditions, strict=True):
        table.add_row(
            part.name,
            Text(condition.text, "green" if condition.healthy else "red"),
            part.address,
            part.metrics,
            condition.version,
            str(part.pid),
            _duration(time.time() - part.started_unix_s),
            str(part.restarts),
        )
    return table


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
