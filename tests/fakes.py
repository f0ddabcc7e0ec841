"""A link that plays a script, and the words that scripts are written in."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from catenary.v1 import (
    decision_pb2,
    embeddings_pb2,
    message_pb2,
    models_pb2,
    safety_pb2,
    tokens_pb2,
)
from catenary.v1 import generation_pb2 as pb
from services.link import Call, Events, Link

UNSPECIFIED = message_pb2.FINISH_REASON_UNSPECIFIED
STOP = message_pb2.FINISH_REASON_STOP
LENGTH = message_pb2.FINISH_REASON_LENGTH
CONTENT_FILTER = message_pb2.FINISH_REASON_CONTENT_FILTER
TOOL_CALLS = message_pb2.FINISH_REASON_TOOL_CALLS

Step = pb.GenerateResponse | Exception | asyncio.Event
"""An event to give, an error to raise, or an event to wait for."""


@dataclass
class Clock:
    """A clock that goes on when it is told to."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Catalogued:
    """Tells always the same models."""

    models: Mapping[str, models_pb2.Model]

    async def cards(self) -> Mapping[str, models_pb2.Model]:
        return self.models


@dataclass(eq=False)
class Scripted:
    """A terminal link that plays the same script for every call, and remembers what befell it."""

    script: Sequence[Step]
    requests: list[pb.GenerateRequest] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    given: int = 0
    """The events that readers have taken, over all calls."""
    running: int = 0
    """The calls that are being played."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a call's generator has ended, however it did."""

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        self.requests.append(request)
        self.calls.append(call)
        self.running += 1
        try:
            for step in self.script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
                    self.given += 1
        finally:
            self.running -= 1
            self.closed.set()


@dataclass(eq=False)
class Answering:
    """Answers single requests, a text with its length; or fails, or waits for a release."""

    error: Exception | None = None
    release: asyncio.Event | None = None
    requests: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        await self._take(request, call)
        return embeddings_pb2.EmbedResponse(
            embeddings=[embeddings_pb2.Embedding(values=[len(t), 0.1]) for t in request.texts],
            usage=message_pb2.Usage(input_tokens=sum(map(len, request.texts))),
            served_model=request.model,
        )

    async def count_tokens(
        self, request: tokens_pb2.CountTokensRequest, call: Call
    ) -> tokens_pb2.CountTokensResponse:
        await self._take(request, call)
        texts = [part.text for message in request.messages for part in message.content]
        return tokens_pb2.CountTokensResponse(
            input_tokens=sum(map(len, texts)), context_window=9, served_model=request.model
        )

    async def _take(self, request: Any, call: Call) -> None:
        self.requests.append(request)
        self.calls.append(call)
        self.begun.set()
        if self.error is not None:
            raise self.error
        if self.release is not None:
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise


@dataclass(eq=False)
class Checking:
    """Finds nothing in any text, and remembers who asked."""

    calls: list[Call] = field(default_factory=list)

    async def check(self, request: safety_pb2.CheckRequest, call: Call) -> safety_pb2.CheckResponse:
        self.calls.append(call)
        verdict = decision_pb2.VERDICT_ALLOW
        return safety_pb2.CheckResponse(verdict=verdict, profile=request.profile or "own")

    async def get_policy(
        self, request: safety_pb2.GetPolicyRequest, call: Call
    ) -> safety_pb2.GetPolicyResponse:
        del request
        self.calls.append(call)
        return safety_pb2.GetPolicyResponse(profile="own", profiles=["own"])


async def outcome(
    link: Link, asked: pb.GenerateRequest, sent: Call, take: int = 1_000_000
) -> tuple[list[pb.GenerateResponse], Exception | None]:
    """Read a stream, at most so far; return what came, and the error that ended it."""
    events: list[pb.GenerateResponse] = []
    async with aclosing(link.generate(asked, sent)) as stream:
        try:
            while len(events) < take and (event := await anext(stream, None)) is not None:
                events.append(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test says what it must be
            return events, error
    return events, None


def request(
    text: str = "hello", *, model: str = "pocket", role: message_pb2.Role.ValueType | None = None
) -> pb.GenerateRequest:
    return pb.GenerateRequest(
        request_id="r-1",
        model=model,
        messages=[
            message_pb2.Message(
                role=role or message_pb2.ROLE_USER, content=[message_pb2.ContentPart(text=text)]
            )
        ],
    )


def call(**parts: object) -> Call:
    return Call(**{"request_id": "r-1", **parts})  # type: ignore[arg-type]


def started(model: str = "pocket") -> pb.GenerateResponse:
    return pb.GenerateResponse(started=pb.Started(request_id="r-1", model=model))


def delta(text: str, *, choice: int = 0, output_tokens: int = 1) -> pb.GenerateResponse:
    return pb.GenerateResponse(
        delta=pb.Delta(choice=choice, text=text, output_tokens=output_tokens)
    )


def inference_decision(input_tokens: int = 3, model: str = "pocket") -> pb.GenerateResponse:
    inference = decision_pb2.InferenceDecision(model=model, input_tokens=input_tokens)
    return pb.GenerateResponse(decision=decision_pb2.Decision(inference=inference))


def finished(
    *reasons: message_pb2.FinishReason.ValueType,
    input_tokens: int = 3,
    output_tokens: int = 2,
) -> pb.GenerateResponse:
    choices = [
        pb.ChoiceFinish(choice=index, finish_reason=reason)
        for index, reason in enumerate(reasons or (STOP,))
    ]
    usage = message_pb2.Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    return pb.GenerateResponse(
        finished=pb.Finished(choices=choices, usage=usage, served_model="pocket", served_version=1)
    )


def answer(*texts: str) -> list[Step]:
    """A whole answer, one delta a text."""
    return [started(), *map(delta, texts), finished(output_tokens=len(texts))]


def text_of(events: Sequence[pb.GenerateResponse], choice: int = 0) -> str:
    deltas = (event.delta for event in events if event.HasField("delta"))
    return "".join(delta.text for delta in deltas if delta.choice == choice)


def kinds(events: Sequence[pb.GenerateResponse]) -> list[str]:
    """What the events are, deltas in a row taken as one: hops merge those that pile up."""
    names: list[str] = []
    for event in events:
        kind = event.WhichOneof("event") or ""
        if kind != "delta" or names[-1:] != ["delta"]:
            names.append(kind)
    return names
