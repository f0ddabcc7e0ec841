"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

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
