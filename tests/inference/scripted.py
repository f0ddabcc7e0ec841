"""An engine that says what it is told to, for models that are too large to be here."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from catenary.v1 import models_pb2
from services.errors import MeshError
from services.inference.engine import EngineRequest, Piece
from services.inference.features import Feature
from services.inference.prompt import Prompter
from services.inference.prompted import PromptedBackend
from services.link import Call
from tests.inference.templates import model_folder


@dataclass
class ScriptedEngine:
    script: Sequence[Piece | MeshError]
    refusals: Mapping[Feature, str]
    requests: list[EngineRequest] = field(default_factory=list)
    given: int = 0
    name: str = "scripted"

    async def open(self) -> None: ...

    async def generate(self, request: EngineRequest, _call: Call) -> AsyncGenerator[Piece, None]:
        self.requests.append(request)
        yield Piece()
        for step in self.script:
            if isinstance(step, MeshError):
                raise step
            self.given += 1
            yield step

    async def close(self) -> None: ...


def said(*texts: str, choice: int = 0, finish: str = "stop", tokens: int = 1) -> list[Piece]:
    """What an engine says of one choice."""
    pieces = [Piece(text, tokens, choice) for text in texts]
    return [*pieces, Piece(choice=choice, finish_reason=finish)]


def backend(
    folder: Path,
    template: str,
    script: Sequence[Piece | MeshError],
    refusals: Mapping[Feature, str] | None = None,
) -> tuple[PromptedBackend, ScriptedEngine]:
    """Return a model with a template, and the engine that plays a script for it."""
    engine = ScriptedEngine(script, refusals or {})
    card = models_pb2.Model(name="pocket", context_window=4096, engine="scripted")
    prompter = Prompter.read("pocket", model_folder(folder, template))
    return PromptedBackend(card, prompter, engine), engine
