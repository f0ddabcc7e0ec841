"""JSON bodies that go through Envoy as they are: read into messages, with nothing dropped."""

from typing import Any, TypeVar

import msgspec
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format
from google.protobuf.message import Message

from services import errors

AnyMessage = TypeVar("AnyMessage", bound=Message)

_JSON = "application/json"
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_SHOWN_CHARS = 64
"""How much of a name that a caller made up comes back in an error."""


def read(body: HttpBody, into: AnyMessage) -> AnyMessage:
    """Read a body into a message of single values; return it.

    Raises:
        MeshError: INVALID_REQUEST; for a field that there is not, and for one whose value is of
            another kind, with its name.
    """
    try:
        given = _OBJECT.decode(body.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise errors.invalid_field("", "the body must be a JSON object") from None
    for name, value in given.items():
        allowed = _allowed(into, name)
        try:
            json_format.ParseDict({name: value}, into)
        except json_format.ParseError:
            raise errors.invalid_field(name, allowed) from None
    return into


def written(message: Message) -> HttpBody:
    """Return a body with all fields of a message, also those that have their default."""
    text = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
    )
    return HttpBody(content_type=_JSON, data=text.encode())


def _allowed(message: Message, name: str) -> str:
    """Say what a field may hold.

    Raises:
        MeshError: INVALID_REQUEST, where there is no such field.
    """
    fields = message.DESCRIPTOR.fields
    for field in fields:
        if name in {field.name, field.json_name}:
            values = field.enum_type.values_by_name if field.enum_type is not None else ()
            return f"must be one of {', '.join(values)}" if values else "must be a string"
    problem = "there is no such field; there are " + ", ".join(field.name for field in fields)
    raise errors.invalid_field(name[:_SHOWN_CHARS], problem)
