"""`catenary models`: the models of a mesh, and whether they serve."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import grpc
import typer
from google.protobuf import json_format
from rich.console import Console
from rich.table import Table
from rich.text import Text

from catenary.cli.options import DEFAULT_ADDRESS, Address
from catenary.client import CallError, Client
from catenary.v1.models_pb2 import ListModelsResponse, Model

_COLOURS = {Model.STATE_READY: "green", Model.STATE_FAILED: "red"}


def models(
    *,
    address: Address = DEFAULT_ADDRESS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the models of a mesh; exit with 1 if not all serves as models.yaml says."""
    try:
        told = asyncio.run(_ask(address))
    except CallError as error:
        unreachable = error.code == grpc.StatusCode.UNAVAILABLE and not error.reason
        problem = (
            f"no mesh answers at {address}; `make up` starts one" if unreachable else str(error)
        )
        typer.echo(problem, err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json_format.MessageToJson(told, preserving_proto_field_name=True))
    else:
        # A row is a line, in a pipe and in a narrow terminal too.
        Console(width=300).print(_table(told.models))
        if told.refusal:
            typer.secho(told.refusal, fg="red")
    serving = all(not card.problem and card.state == Model.STATE_READY for card in told.models)
    if told.refusal or not serving:
        raise typer.Exit(1)


async def _ask(address: str) -> ListModelsResponse:
    async with Client(address) as client:
        return await client.list_models()


def _table(cards: Sequence[Model]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "version", "state", "engine", "context", "precision", "price"):
        table.add_column(heading)
    table.add_column("capabilities")
    table.add_column("problem")
    for card in cards:
        table.add_row(
            card.name,
            str(card.version),
            Text(state(card), _COLOURS.get(card.state, "yellow")),
            card.engine,
            str(card.context_window or ""),
            card.precision,
            _price(card),
            ", ".join(card.capabilities),
            Text(card.problem, "red"),
        )
    return table


def state(card: Model) -> str:
    """Return the state in one word."""
    return Model.State.Name(card.state).removeprefix("STATE_").lower()


def _price(card: Model) -> str:
    """Return what a million tokens cost, of prompt and of completion."""
    return f"{card.price.input:g}/{card.price.output:g}" if card.HasField("price") else ""
