"""Bytes into a body, and what a caller reads when they are none."""

import re
from typing import TypeVar, get_args

import msgspec
from msgspec.json import Decoder

from catenary.v1 import error_reason_pb2
from services import errors
from services.errors import MeshError, Violation
from services.gateway.openai.body import ChatCompletion, Message
from services.gateway.openai.embeddings import CreateEmbedding

Body = TypeVar("Body")

_CHAT = Decoder(ChatCompletion)
_EMBEDDING = Decoder(CreateEmbedding)

# msgspec's words, then where: "Expected `int`, got `str` - at `$.n`", "... - at `key` in `$.x`".
_FAILURE = re.compile(r"(?s)(?P<what>.*?)(?: - at (?:`key` in )?`\$\.?(?P<where>[^`]*)`)?\Z")
_MISMATCH = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?\Z")
_BOUND = re.compile(r"Expected `int` (?P<sign>>=|<=) (?P<bound>-?\d+)\Z")
_FIELD = re.compile(r"(?s)Object (missing required|contains unknown) field `(.*)`\Z")

_KINDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_GIVEN_KINDS = {**_KINDS, "float": "a decimal number"}
_ROLES = ", ".join(repr(kind.__struct_config__.tag) for kind in get_args(Message))
_ALLOWED = (
    (r"messages\[\d+\]\.role", f"one of {_ROLES}"),
    (
        r"messages\[\d+\]\.content\[\d+\]\.type",
        "'text', in a user's turn also 'image_url', in an assistant's also 'refusal'",
    ),
    (r".*\.detail", "one of 'auto', 'low', 'high'"),
    (r"response_format\.type", "one of 'text', 'json_object', 'json_schema'"),
    (r"tool_choice", "'none', 'auto', 'required', or an object that names a function"),
    (r"encoding_format", "'float' or 'base64'"),
    (r"catenary\.cache\.mode", "one of 'default', 'bypass', 'refresh', 'only_if_cached'"),
    (r"modalities\[\d+\]", "'text'"),
    (r".*\.type", "'function'"),
)
_SHOWN_CHARS = 64
"""How much of a name that a caller made up comes back in an error."""


def decode(data: bytes) -> ChatCompletion:
    """Read the body of a request for a completion.

    Raises:
        MeshError: INVALID_REQUEST, for the first thing that is wrong.
    """
    return _decode(data, _CHAT)


def decode_embedding(data: bytes) -> CreateEmbedding:
    """Read the body of a request for embeddings.

    Raises:
        MeshError: INVALID_REQUEST, for the first thing that is wrong.
    """
    return _decode(data, _EMBEDDING)


def _decode(data: bytes, decoder: Decoder[Body]) -> Body:
    if not data:
        raise errors.invalid_field("", "the body is empty, but must be a JSON object")
    try:
        data.decode()
        return decoder.decode(data)
    except UnicodeDecodeError as error:
        problem = f"the body is not UTF-8: byte {error.start} cannot be read"
        raise errors.invalid_field("", problem) from None
    except RecursionError:
        raise errors.invalid_field("", "the body is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise _mistake(str(error)) from None
    except msgspec.DecodeError as error:
        problem = str(error).removeprefix("JSON is malformed: ")
        if problem == "Input data was truncated":
            problem = f"it ends too early (byte {len(data)})"
        raise errors.invalid_field("", f"the body is not JSON: {problem}") from None


def _mistake(text: str) -> MeshError:
    failure = _FAILURE.match(text)
    what, where = (failure["what"], failure["where"] or "") if failure else (text, "")
    if field := _FIELD.match(what):
        name = ".".join(filter(None, (where, field[2])))[:_SHOWN_CHARS]
        if field[1] == "missing required":
            return errors.invalid_field(name, "is required")
        return _unrecognized(name)
    description = _description(what, where)
    if not where:
        return errors.invalid_field("", f"the body {description}")
    return errors.invalid_field(where, description)


def _unrecognized(name: str) -> MeshError:
    return MeshError(
        error_reason_pb2.ERROR_REASON_INVALID_REQUEST,
        # OpenAI's own words: clients look for them to learn what to leave out.
        f"Unrecognized request argument supplied: {name}",
        {"field": name},
        violations=(Violation(name, "is not recognized"),),
    )


def _description(what: str, where: str) -> str:
    """Say what is allowed."""
    if what.startswith("Invalid "):
        return "must be " + next(text for path, text in _ALLOWED if re.fullmatch(path, where))
    if bound := _BOUND.match(what):
        at = "at least" if bound["sign"] == ">=" else "at most"
        return f"must be a whole number, {at} {bound['bound']}"
    if mismatch := _MISMATCH.match(what):
        allowed = " or ".join(_KINDS[kind] for kind in mismatch[1].split(" | "))
        got = f", not {_GIVEN_KINDS[mismatch[2]]}" if mismatch[2] else ""
        return f"must be {allowed}{got}"
    return "must be a number that a double can hold"
