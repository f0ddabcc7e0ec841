"""The texts of a request that a model reads: what a prompt can hide something in."""

from collections.abc import Iterator

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2


def texts(request: pb.GenerateRequest) -> Iterator[str]:
    """Give each text that reaches the model, whoever it comes from; the pieces of a turn joined."""
    for message in request.messages:
        yield message.name
        yield "".join(_content(part) for part in message.content)
        for call in message.tool_calls:
            yield call.name
            yield call.arguments
    for tool in request.tools:
        yield tool.name
        yield tool.description
        yield tool.parameters_schema
    schema = request.response_format.json_schema
    yield schema.name
    yield schema.description
    yield schema.schema
    yield request.response_format.regex
    yield request.continuation.reasoning
    yield request.continuation.text


def _content(part: message_pb2.ContentPart) -> str:
    kind = part.WhichOneof("part")
    if kind == "media":
        return part.media.url
    return "" if kind is None else str(getattr(part, kind))
