"""The texts of a request that a model reads, and how each is written back when it must change."""

from collections.abc import Callable, Iterator, MutableSequence, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

from catenary.v1 import embeddings_pb2, message_pb2, tokens_pb2
from catenary.v1 import generation_pb2 as pb
from services.safety import json_text
from services.safety.detector import Source, Text
from services.safety.standing_in import standing_in

_KINDS = ("text", "reasoning", "refusal")


class Piece(NamedTuple):
    """A part of a text that may change for itself."""

    start: int
    end: int


Write = Callable[[Sequence[str | None]], None]
"""Puts other texts in the place of the pieces; None leaves one as it is."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One text that is inspected as a whole."""

    text: Text
    pieces: Sequence[Piece]
    """In order; none where nothing may change: a name by which something else is called."""
    write: Write
    is_setup: bool = False
    """It belongs to no turn: tools, and the form of the answer."""
    is_read: bool = True
    """The model reads it, and in no other passage."""
    is_opaque: bool = False
    """It is only compared with others like it: whatever is found in it, a hash stands for all."""


def of_request(request: pb.GenerateRequest) -> Iterator[Passage]:
    """Give each text of a request that reaches the model, whoever it comes from.

    What is written goes into this very request.
    """
    yield from of_conversation(request)
    yield from map(_as_setup, _form(request.response_format))
    if request.HasField("continuation"):
        yield from _plain(request.continuation, "reasoning", Source.USER)
        yield from _plain(request.continuation, "text", Source.USER)
    yield from _unread(request)


def of_conversation(
    request: pb.GenerateRequest | tokens_pb2.CountTokensRequest,
) -> Iterator[Passage]:
    """Give the texts of turns and tools alone; what is written goes into this very request."""
    for tool in request.tools:
        yield from map(_as_setup, _tool(tool))
    for message in request.messages:
        yield from _turn(message)


def of_texts(request: embeddings_pb2.EmbedRequest) -> Iterator[Passage]:
    """Give each text to embed; what is written goes into this very request."""
    yield from _each(request.texts, Source.DOCUMENT)


def _unread(request: pb.GenerateRequest) -> Iterator[Passage]:
    """Give what goes up for others than the model: what ends the answer, and who asks."""
    for passage in _each(request.sampling.stop, Source.LABEL):
        yield replace(passage, is_read=False)
    yield from _opaque(request, "end_user")
    yield from _opaque(request.controls.routing, "session")


def _as_setup(passage: Passage) -> Passage:
    return replace(passage, is_setup=True)


def _form(form: message_pb2.ResponseFormat) -> Iterator[Passage]:
    yield from _fixed(form.json_schema.name)
    if form.HasField("json_schema"):
        yield from _plain(form.json_schema, "description", Source.SYSTEM)
        yield from _json(form.json_schema, "schema", Source.LABEL)
    # What stood in for something would be read as an expression.
    yield from _fixed(form.regex)


def _tool(tool: message_pb2.Tool) -> Iterator[Passage]:
    yield from _fixed(tool.name)
    yield from _plain(tool, "description", Source.LABEL)
    yield from _json(tool, "parameters_schema", Source.LABEL)
    # The same once more, as prose: what a tool says to the model.
    said = [tool.description, *json_text.descriptions(tool.parameters_schema)]
    if prose := "\n".join(filter(None, said)):
        yield Passage(Text(prose, Source.TOOL), (), _unchanged, is_read=False)


def _turn(message: message_pb2.Message) -> Iterator[Passage]:
    source = {
        message_pb2.ROLE_SYSTEM: Source.SYSTEM,
        message_pb2.ROLE_TOOL: Source.DOCUMENT,
    }.get(message.role, Source.USER)
    yield from _plain(message, "name", source)
    if message.content:
        yield _content(message, source)
    for call in message.tool_calls:
        yield from _opaque(call, "id")
        yield from _fixed(call.name)
        yield from _json(call, "arguments", source)
    yield from _opaque(message, "tool_call_id")


def _content(message: message_pb2.Message, source: Source) -> Passage:
    """Read the parts of a turn as one text, as the model does."""
    said: list[str] = []
    owners: list[Callable[[str], None]] = []
    for kind, group in groupby(message.content, lambda part: part.WhichOneof("part")):
        parts = list(group)
        if kind in _KINDS:
            said.append("".join(getattr(part, kind) for part in parts))
            owners.append(_run(parts, kind))
            continue
        # The bytes of a picture are no text, in whichever form they come.
        for media in (part.media for part in parts if not part.media.url.startswith("data:")):
            said.append(media.url)
            owners.append(_field(media, "url"))

    def write(changed: Sequence[str | None]) -> None:
        for put, text in zip(owners, changed, strict=True):
            if text is not None:
                put(text)

    ends = [0]
    for text in said:
        ends.append(ends[-1] + len(text))
    return Passage(Text("".join(said), source), list(map(Piece, ends, ends[1:])), write)


def _run(parts: Sequence[message_pb2.ContentPart], kind: str) -> Callable[[str], None]:
    def put(changed: str) -> None:
        # All of it in the first part, so that what stands in for something is never cut in two.
        for part in parts:
            setattr(part, kind, "")
        setattr(parts[0], kind, changed)

    return put


def _field(owner: Any, name: str) -> Callable[[str], None]:
    return lambda changed: setattr(owner, name, changed)


def _each(texts: MutableSequence[str], source: Source) -> Iterator[Passage]:
    for index, raw in enumerate(texts):

        def write(changed: Sequence[str | None], index: int = index) -> None:
            if changed[0] is not None:
                texts[index] = changed[0]

        yield Passage(Text(raw, source), [Piece(0, len(raw))], write)


def _fixed(raw: str) -> Iterator[Passage]:
    """Give a name by which something else is called."""
    if raw:
        yield Passage(Text(raw, Source.LABEL), (), _unchanged)


def _unchanged(_: Sequence[str | None]) -> None:
    """Write nothing back: there are no pieces."""


def _opaque(owner: Any, name: str) -> Iterator[Passage]:
    """Give an identity; equal ones stay equal, and others stay apart."""
    raw: str = getattr(owner, name)

    def write(changed: Sequence[str | None]) -> None:
        if changed[0] is not None:
            setattr(owner, name, standing_in(raw))

    if raw:
        text = Text(raw, Source.LABEL)
        yield Passage(text, [Piece(0, len(raw))], write, is_read=False, is_opaque=True)


def _plain(owner: Any, name: str, source: Source) -> Iterator[Passage]:
    raw: str = getattr(owner, name)

    def write(changed: Sequence[str | None]) -> None:
        if changed[0] is not None:
            setattr(owner, name, changed[0])

    if raw:
        yield Passage(Text(raw, source), [Piece(0, len(raw))], write)


def _json(owner: Any, name: str, source: Source) -> Iterator[Passage]:
    raw: str = getattr(owner, name)
    if not raw:
        return
    text, values = json_text.decoded(raw)

    def write(changed: Sequence[str | None]) -> None:
        setattr(owner, name, json_text.changed(raw, values, changed))

    yield Passage(Text(text, source), [Piece(value.start, value.end) for value in values], write)
