"""The backend of an engine that wants a prompt: made here, with the model's own template."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from catenary.v1 import embeddings_pb2, models_pb2
from catenary.v1 import generation_pb2 as pb
from infra.engine.engine import Generation
from services import errors
from services.errors import MeshError, Violation
from services.inference import abilities, features
from services.inference.completion import Completion
from services.inference.engine import EngineClient, EngineRequest
from services.inference.features import Feature
from services.inference.form import Form, form
from services.inference.inputs import field_of, generation
from services.inference.load import LoadReports
from services.inference.prompt import LONG_BYTES, Prompter
from services.inference.readers import reader
from services.inference.structural_tag import structural_tag
from services.link import Call, Events

T = TypeVar("T")

_LONGEST_BUDGET_MS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class PromptedBackend:
    """One model: its card, its way from messages to tokens, and the engine that runs it."""

    card: models_pb2.Model
    prompter: Prompter
    client: EngineClient
    loads: LoadReports = field(default_factory=LoadReports)
    """Hears how busy the engine is."""

    @property
    def engine(self) -> str:
        """What computes it."""
        return self.client.name

    @property
    def capabilities(self) -> list[str]:
        """What the model can do, in words for its card."""
        return abilities.capabilities(self.prompter.formats, self.client.refusals)

    async def open(self) -> None:
        """Return when the engine can generate.

        Raises:
            MeshError: it cannot; with a time to come back, not yet.
            OSError, ValueError: it cannot be started.
        """
        await self.client.open()

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the model's completion.

        Raises:
            MeshError: the request asks for what the model cannot do, its prompt does not fit, the
                queue is full, the engine fails, or the model writes a tool call that is none.
        """
        arrived = time.monotonic()
        held = await self._form(request)
        is_held = held is not None
        heals = Feature.REGEX not in self.client.refusals
        prompt = await self.prompter.prompt(request, is_held=is_held, heals=heals)
        formats = self.prompter.formats
        tag = await _aside(request, lambda: structural_tag(request, formats.tools, prompt.echo))
        wanted = generation(
            request,
            prompt,
            held,
            tag,
            context_window=self.card.context_window,
            cache_salt=call.tenant,
        )
        asked = EngineRequest(prompt.text, _timed(wanted, call))
        read = reader(request, prompt, formats, is_held=is_held)
        completion = Completion(request, self.card, prompt, arrived, read)
        has_started = False
        try:
            async with aclosing(self.client.generate(asked, call)) as pieces:
                async for piece in pieces:
                    if not has_started:
                        has_started = True
                        started = pb.Started(request_id=call.request_id, model=request.model)
                        yield pb.GenerateResponse(started=started)
                    if piece.load is not None:
                        self.loads.note(self.card.name, piece.load)
                    for event in completion.read(piece):
                        yield event
                    if completion.is_cut_off:
                        break
        except MeshError as error:
            raise _blaming(error, held) from None
        for event in completion.end():
            yield event

    async def count_tokens(self, request: pb.GenerateRequest, _call: Call) -> int:
        """Return the tokens of the prompt that `request` would make.

        Raises:
            MeshError: the messages are refused.
        """
        is_held = await self._form(request) is not None
        return len((await self.prompter.prompt(request, is_held=is_held)).token_ids)

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, _call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Refuse: the model generates text.

        Raises:
            MeshError: UNSUPPORTED.
        """
        raise errors.unsupported("model", request.model, "the model makes no embeddings")

    async def close(self) -> None:
        """Give back what the engine's client holds."""
        await self.client.close()

    async def _form(self, request: pb.GenerateRequest) -> Form | None:
        """Return the form that a completion is held to, if what is asked for can be done."""
        features.refuse(request, self.client.refusals)
        held = await _aside(request, lambda: form(request))
        abilities.refuse(request, held, self.prompter.formats, self.client.refusals)
        return held


async def _aside(request: pb.GenerateRequest, work: Callable[[], T]) -> T:
    """Return what work on a request returns; it is done in a thread where it may take long."""
    if request.ByteSize() < LONG_BYTES:
        return work()
    return await asyncio.to_thread(work)


def _timed(wanted: Generation, call: Call) -> Generation:
    """Return a generation with the time that the call leaves it."""
    remaining_s = call.time_remaining()
    if remaining_s is None:
        return wanted
    budget_ms = min(int(remaining_s * 1000), _LONGEST_BUDGET_MS)
    return msgspec.structs.replace(wanted, time_budget_ms=budget_ms)


def _blaming(error: MeshError, held: Form | None) -> MeshError:
    """Return an error about a form with the field that asked for the form."""
    guides = {field_of("json_schema"), field_of("regex")}
    if held is not None and error.violations and error.violations[0].field in guides:
        violation = Violation(held.field, error.violations[0].description)
        message = f"{violation.field}: {violation.description}"
        metadata = {**error.metadata, "field": violation.field}
        return replace(error, message=message, metadata=metadata, violations=(violation,))
    return error
