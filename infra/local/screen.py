"""Tells a person what the parts of a mesh do; plain lines where the output is not a terminal."""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.text import Text

from catenary.config.v1.models_pb2 import ModelConfig
from infra.local.part import Part
from infra.local.parts import Plan
from infra.local.ports import HOST

_DEFAULT_EDGE = "127.0.0.1:8080"
_LINE_CHARACTERS = 400
_QUESTION = "What is Catenary?"


@dataclass(frozen=True, slots=True)
class Screen:
    """Writes one line for each thing that happens."""

    console: Console
    plan: Plan
    options: str
    """The options with which `catenary status` finds this mesh."""
    started_at: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Say what is being started."""
        version = metadata.version("catenary")
        self._line(f"Catenary {version}, {self.plan.placement}, {self.plan.config_file}", "bold")

    def started(self, part: Part, pid: int) -> None:
        """Say nothing: that it is ready is what counts."""

    def ready(self, part: Part, after_s: float) -> None:
        """Say that a part can serve."""
        self._line(f"  {part.name:<12} {part.address:<16} ready after {after_s:.1f} s", "green")

    def complete(self) -> None:
        """Say how to talk to the mesh."""
        address = f"{HOST}:{self.plan.ports.edge}"
        model = _first(self.plan.models.models)
        command, status = _command(), f" {self.options}" if self.options else ""
        chat = "" if address == _DEFAULT_EDGE else f" --address {address}"
        body = (
            f'{{"model": "{model}", "stream": true, '
            f'"messages": [{{"role": "user", "content": "{_QUESTION}"}}]}}'
        )
        self._line("")
        self._line(f"Ready after {time.monotonic() - self.started_at:.1f} s.", "bold green")
        self._line(f"  OpenAI  base_url http://{address}/v1, model {model}, any api_key")
        self._line(f"  gRPC    {address}, catenary.v1.Generation/Generate")
        self._line(f"  chat    {command} chat{chat}")
        self._line(f"  status  {command} status{status}")
        self._line(
            f"  curl    curl -N http://{address}/v1/chat/completions"
            f" -H 'content-type: application/json' -d '{body}'"
        )
        self._line("Ctrl-C stops it.")

    def stopping(self) -> None:
        """Say that it may take a moment."""
        self._line("Stopping; running streams may end first.", "bold")

    def ended(self, part: Part, how: str, last_lines: Sequence[str], restart_in_s: float) -> None:
        """Say that a part has died, and what it wrote last."""
        self._line(f"{part.name} {how}; it starts again in {restart_in_s:.1f} s", "bold red")
        self.show(last_lines)

    def show(self, last_lines: Sequence[str]) -> None:
        """Show what a part wrote last."""
        for line in last_lines:
            self._line(f"  | {line[:_LINE_CHARACTERS]}", "dim")

    def _line(self, text: str, style: str = "") -> None:
        # Never wrapped: a command is there to be copied.
        self.console.print(Text(text, style), soft_wrap=True)


def _first(models: Sequence[ModelConfig]) -> str:
    """Return the first model that answers in text, where there is one."""
    return next((model for model in models if model.engine != "embeddings"), models[0]).name


def _command() -> str:
    """Return how this command was called, as it can be called again from the same folder."""
    called = Path(sys.argv[0])
    if shutil.which("catenary") == str(called):
        return "catenary"
    if called.is_relative_to(Path.cwd()):
        return str(called.relative_to(Path.cwd()))
    return str(called)
