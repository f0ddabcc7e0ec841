"""The command line."""

import typer

from catenary.cli.chat import chat
from catenary.cli.models import models
from catenary.cli.safety import safety
from catenary.cli.status import status
from catenary.cli.up import up

app = typer.Typer(
    name="catenary",
    help="A gRPC mesh that serves large language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(chat)
app.command()(models)
app.command()(status)
app.add_typer(safety)
