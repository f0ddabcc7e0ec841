"""`catenary safety`: what the policy says of a text, and how good its detectors are."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from google.protobuf import json_format
from rich.console import Console
from rich.table import Table
from rich.text import Text

from catenary.v1 import decision_pb2
from catenary.v1 import safety_pb2 as pb

safety = typer.Typer(
    name="safety", help="Try the safety policy, and measure its detectors.", no_args_is_help=True
)

_COLOURS = {
    decision_pb2.VERDICT_ALLOW: "green",
    decision_pb2.VERDICT_PSEUDONYMISE: "yellow",
    decision_pb2.VERDICT_REDACT: "yellow",
    decision_pb2.VERDICT_BLOCK: "red",
}

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@safety.command()
def check(
    text: Annotated[str | None, typer.Argument(help="The text; - reads it from the input.")] = None,
    *,
    file: Annotated[Path | None, typer.Option(help="Read the text from a file.")] = None,
    profile: Annotated[
        str, typer.Option(help="The profile.", show_default="the policy's default")
    ] = "",
    source: Annotated[
        Literal["user", "system", "document", "answer"], typer.Option(help="Where the text stands.")
    ] = "user",
    config: Annotated[
        Path | None,
        typer.Option(
            help="The configuration, with the policy beside it.",
            show_default="mesh.yaml here; without one, the policy that ships",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is found in a text, and what would be done about it; exit with 1 if it is blocked.

    It needs no mesh: the policy is read here. Positions are in characters, from 0.
    """
    raw = _read(text, file)
    if config is not None and not config.is_file():
        raise _failed(f"there is no file {str(config)!r}")
    # Other commands do without what takes half a second to import.
    from services.config import ConfigError  # noqa: PLC0415
    from services.errors import MeshError  # noqa: PLC0415
    from services.safety.offline import check_text  # noqa: PLC0415

    try:
        told, policy = asyncio.run(check_text(raw, source, profile, config or Path("mesh.yaml")))
    except MeshError as error:
        raise _failed(error.message) from None
    except ConfigError as error:
        raise _failed(str(error)) from None
    if as_json:
        typer.echo(
            json_format.MessageToJson(
                told,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
        )
    else:
        _show(told, policy)
    if told.verdict == decision_pb2.VERDICT_BLOCK:
        raise typer.Exit(1)


@safety.command()
def evaluate(
    *,
    data: Annotated[Path, typer.Option(help="The folder with the labelled rows.")],
    as_json: Json = False,
) -> None:
    """Measure the detectors over labelled rows: each figure with its 95 % interval.

    The rows are lines of JSON, each with a "text", in any of the files safety_injection.jsonl,
    safety_harmful.jsonl, safety_benign.jsonl, pii.jsonl and secrets.jsonl. It is the detectors as
    they ship that are measured, whatever the policy.
    """
    try:
        from services.safety.evaluation import report  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _failed(f"{error.name} is not installed: pip install 'catenary[safety]'") from None
    try:
        figures = list(report.evaluate(data))
    except (OSError, ValueError) as error:
        raise _failed(f"the rows cannot be used: {error}") from None
    if as_json:
        typer.echo(json.dumps([figure._asdict() for figure in figures], indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("detector", "figure", "source", "value", "95 % interval", "rows"):
        table.add_column(heading)
    for figure in figures:
        interval = "" if figure.low == figure.high else f"{figure.low:.3f}-{figure.high:.3f}"
        table.add_row(*figure[:3], f"{figure.value:.3f}", interval, str(figure.rows))
    Console(width=300, highlight=False).print(table)


def _read(text: str | None, file: Path | None) -> str:
    if text is None and file is None:
        raise _failed("give a text, or - to read one, or --file")
    if text is not None and file is not None:
        raise _failed("give a text or --file, and not both")
    try:
        if file is not None:
            return file.read_text(encoding="utf-8")
        # What a shell hands over need not be UTF-8.
        given = sys.stdin.read() if text == "-" else text or ""
        return given.encode(errors="replace").decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise _failed(f"the text cannot be read: {reason}") from None


def _show(told: pb.CheckResponse, policy: str) -> None:
    console = Console(width=300, highlight=False)
    if told.findings:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for heading in ("detector", "category", "score", "severity", "start", "end", "action"):
            table.add_column(heading)
        for one in told.findings:
            found = one.finding
            table.add_row(
                *(found.detector, found.category, f"{found.score:.2f}"),
                *(str(found.severity or ""), str(one.start), str(one.end)),
                _verdict(found.would or found.verdict, is_dry=bool(found.would)),
            )
        console.print(table)
    line = Text(f"profile {told.profile} of {policy}: ")
    console.print(line.append_text(_verdict(told.verdict)))
    if told.verdict in {decision_pb2.VERDICT_PSEUDONYMISE, decision_pb2.VERDICT_REDACT}:
        typer.echo(told.text)


def _verdict(verdict: decision_pb2.Verdict.ValueType, *, is_dry: bool = False) -> Text:
    word = decision_pb2.Verdict.Name(verdict).removeprefix("VERDICT_").lower()
    return Text(f"{word} (dry run)" if is_dry else word, _COLOURS[verdict])


def _failed(reason: str) -> typer.Exit:
    typer.echo(reason, err=True)
    return typer.Exit(2)
