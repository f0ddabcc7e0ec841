"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_ADDRESS = "127.0.0.1:8080"
Address = Annotated[str, typer.Option(help="Where the mesh takes calls, as host:port.")]
PortBase = Annotated[
    int | None,
    typer.Option(
        min=1024,
        max=65400,
        help="Moves every port of the mesh to this one and the 99 after it.",
        show_default="the ports of the documentation",
    ),
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        help="Where each mesh keeps its logs and what it runs.",
        show_default="~/.local/state/catenary",
    ),
]
