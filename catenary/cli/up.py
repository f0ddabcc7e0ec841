"""`catenary up`: starts a mesh on this machine, and keeps it running."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from catenary.cli import record
from catenary.cli.options import PortBase, StateDir


def up(
    config: Annotated[Path, typer.Option(help="The configuration.")] = Path("mesh.yaml"),
    placement: Annotated[
        Literal["single", "split"],
        typer.Option(help="All links in one process, or each in its own."),
    ] = "single",
    replicas: Annotated[
        list[str] | None,
        typer.Option(help="How many processes a link has, for example inference=2; for split."),
    ] = None,
    port_base: PortBase = None,
    state_dir: StateDir = None,
) -> None:
    """Start Envoy, the links and Triton here; stop all of it on Ctrl-C."""
    # Only this command needs the services and what they run on; callers install neither.
    try:
        from infra.local import errors, mesh, ports, replication, screen  # noqa: PLC0415
        from infra.local.parts import Plan  # noqa: PLC0415
        from services.config import ConfigError, load  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _failed(f"{error.name} is not installed: pip install 'catenary[local]'") from None

    try:
        plan = Plan(
            config_file=config,
            config=load(config),
            placement=placement,
            replicas=replication.parse(replicas or [], placement),
            ports=ports.based(port_base) if port_base else ports.Ports(),
            folder=record.folder(state_dir, port_base),
        )
        shown = screen.Screen(Console(highlight=False), plan, _options(port_base, state_dir))
        tiers = mesh.prepare(plan)
        shown.begin()
        mesh.run(plan, tiers, shown)
    except errors.PartFailedError as error:
        shown.show(error.last_lines)
        raise _failed(str(error)) from None
    except (ConfigError, errors.LocalError, OSError, ValueError) as error:
        raise _failed(str(error)) from None


def _options(port_base: int | None, state_dir: Path | None) -> str:
    given = {"--port-base": port_base, "--state-dir": state_dir}
    return " ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def _failed(reason: str) -> typer.Exit:
    typer.echo(reason, err=True)
    return typer.Exit(1)
