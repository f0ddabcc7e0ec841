"""Asks the inference link, and puts together what comes back."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from infra.engine.engine import Generation
from services.inference.engine import EngineRequest
from services.inference.prompted import PromptedBackend
from services.link import Call, Events, Link


@dataclass
class Answer:
    """A whole generation."""

    events: list[pb.GenerateResponse] = field(default_factory=list)

    @property
    def deltas(self) -> list[pb.Delta]:
        return [event.delta for event in self.events if event.HasField("delta")]

    @property
    def finished(self) -> pb.Finished:
        return self.events[-1].finished

    def text(self, choice: int = 0) -> str:
        return "".join(delta.text for delta in self.deltas if delta.choice == choice)


def asking(
    text: str = "What is Catenary?", model: str = "pocket", **sampling: Any
) -> pb.GenerateRequest:
    message = message_pb2.Message(
        role=message_pb2.ROLE_USER, content=[message_pb2.ContentPart(text=text)]
    )
    return pb.GenerateRequest(
        model=model, messages=[message], sampling=message_pb2.Sampling(**sampling)
    )


async def ask(link: Link, request: pb.GenerateRequest, call: Call | None = None) -> Answer:
    answer = Answer()
    async with aclosing(link.generate(request, call or Call("r1"))) as events:
        async for event in events:
            answer.events.append(event)
    return answer


@asynccontextmanager
async def begun(link: Link, request: pb.GenerateRequest) -> AsyncIterator[Events]:
    """Ask, and give what comes behind the first text; the call runs until that is read."""
    async with aclosing(link.generate(request, Call("r1"))) as events:
        async for event in events:
            if event.HasField("delta"):
                break
        yield events


async def generated(backend: PromptedBackend, structural_tag: str) -> str:
    """Return what the engine itself writes, with a structural tag that no request asks for."""
    prompt = await backend.prompter.prompt(asking(), is_held=False)
    wanted = Generation(
        input_ids=prompt.token_ids,
        max_output_tokens=120,
        temperature=0,
        structural_tag=structural_tag,
    )
    pieces = backend.client.generate(EngineRequest(prompt.text, wanted), Call("r1"))
    return "".join([piece.text async for piece in pieces])
