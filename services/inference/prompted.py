"""The backend of an engine that wants a prompt: made here, with the model's own template."""

import time
from contextlib import aclosing
from dataclasses import dataclass

from catenary.v1 import embeddings_pb2, models_pb2
from catenary.v1 import generation_pb2 as pb
from services import errors
from services.inference import features
from services.inference.completion import Completion
from services.inference.engine import EngineClient, EngineRequest
from services.inference.inputs import generation
from services.inference.prompt import Prompter
from services.link import Call, Events


@dataclass(frozen=True, slots=True)
class PromptedBackend:
    """One model: its card, its way from messages to tokens, and the engine that runs it."""

    card: models_pb2.Model
    prompter: Prompter
    client: EngineClient

    @property
    def engine(self) -> str:
        """What computes it."""
        return self.client.name

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the model's completion.

        Raises:
            MeshError: the request asks for what the model cannot do, its prompt does not fit, the
                queue is full, or the engine fails.
        """
        arrived = time.monotonic()
        features.refuse(request, self.client.refusals)
        prompt = await self.prompter.prompt(request.messages, request.continuation.text)
        asked = EngineRequest(
            prompt.text, generation(request, prompt.token_ids, self.card.context_window)
        )
        completion = Completion(request, self.card, len(prompt.token_ids), arrived)
        has_started = False
        async with aclosing(self.client.generate(asked, call)) as pieces:
            async for piece in pieces:
                if not has_started:
                    has_started = True
                    started = pb.Started(request_id=call.request_id, model=request.model)
                    yield pb.GenerateResponse(started=started)
                for event in completion.read(piece):
                    yield event
        for event in completion.end():
            yield event

    async def count_tokens(self, request: pb.GenerateRequest, _call: Call) -> int:
        """Return the tokens of the prompt that `request` would make.

        Raises:
            MeshError: the messages are refused.
        """
        prompt = await self.prompter.prompt(request.messages, request.continuation.text)
        return len(prompt.token_ids)

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
