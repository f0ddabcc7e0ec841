"""`catenary up`: starts a mesh on this machine, and keeps it running."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from catenary.cli import record
from catenary.cli.options import PortBase, StateDir


def up(
    *,
    config: Annotated[Path, typer.Option(help="The configuration.")] = Path("mesh.yaml"),
    models: Annotated[
        Path | None,
        typer.Option(
            help="The models; followed while the mesh runs.",
            show_default="models.yaml beside the configuration",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Serve this model alone: a folder of OpenVINO's or Hugging Face's, "
            "a GGUF file, or a hub's OWNER/NAME.",
        ),
    ] = None,
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
        from infra.local import errors, mesh, ports, replication, screen, single_model  # noqa: PLC0415
        from infra.local.parts import Plan  # noqa: PLC0415
        from services import config as configuration  # noqa: PLC0415
        from services.safety import policy  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _failed(f"{error.name} is not installed: pip install 'catenary[local]'") from None

    if model is not None and models is not None:
        raise _misused("--model serves one model instead of those of --models: give one of the two")
    if not config.is_file():
        raise _misused(f"there is no file {str(config)!r}: name the mesh's with --config")
    console, folder = Console(highlight=False), record.folder(state_dir, port_base)
    try:
        if model is not None:
            single_model.check(model)
    except (OSError, ValueError) as error:
        raise _misused(str(error)) from None
    try:
        loaded = configuration.load(config)
        if model is None:
            models_file = models or configuration.beside(config)
        else:
            models_file = single_model.write_models(model, folder, console)
        plan = Plan(
            config_file=config,
            config=loaded,
            models_file=models_file,
            models=configuration.load_models(models_file),
            placement=placement,
            replicas=replication.parse(replicas or [], placement),
            ports=ports.based(port_base) if port_base else ports.Ports(),
            folder=folder,
        )
        configuration.check_aliases(config, plan.config.router.aliases, plan.models)
        policy.read_policy(configuration.policy_file(config, loaded))
        shown = screen.Screen(console, plan, _options(port_base, state_dir))
        tiers = mesh.prepare(plan)
        shown.begin()
        mesh.run(plan, tiers, shown)
    except errors.PartFailedError as error:
        shown.show(error.last_lines)
        raise _failed(str(error)) from None
    except (configuration.ConfigError, errors.LocalError, OSError, ValueError) as error:
        raise _failed(str(error)) from None


def _options(port_base: int | None, state_dir: Path | None) -> str:
    given = {"--port-base": port_base, "--state-dir": state_dir}
    return " ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def _misused(reason: str) -> typer.Exit:
    typer.echo(reason, err=True)
    return typer.Exit(2)


def _failed(reason: str) -> typer.Exit:
    typer.echo(reason, err=True)
    return typer.Exit(1)
