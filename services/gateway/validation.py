"""The check of what comes from outside: the rules of the contracts, and the JSON in their texts."""

from collections.abc import Iterator
from typing import Any

import msgspec
import protovalidate
from google.protobuf.message import Message

from catenary.v1 import generation_pb2 as pb
from services import errors
from services.config import dotted
from services.errors import Violation

MAX_VIOLATIONS = 16
"""How many violations an error tells: enough to mend a request, too few to fill its trailers."""

_JSON_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def check(message: Message) -> None:
    """Hold a message to the rules of its contract.

    Raises:
        MeshError: INVALID_REQUEST, with every violation up to `MAX_VIOLATIONS`.
    """
    violations = protovalidate.collect_violations(message)
    if violations:
        raise errors.invalid_request(
            Violation(_field(violation.proto), violation.proto.message)
            for violation in violations[:MAX_VIOLATIONS]
        )


def check_generate(request: pb.GenerateRequest) -> None:
    """Hold a request to the rules of its contract, and its schemas to JSON.

    Raises:
        MeshError: INVALID_REQUEST, with every violation up to `MAX_VIOLATIONS`.
    """
    check(request)
    violations = [
        Violation(field, "must be a JSON object")
        for field, schema in _schemas(request)
        if not _is_json_object(schema)
    ]
    if violations:
        raise errors.invalid_request(violations[:MAX_VIOLATIONS])


def _field(violation: Any) -> str:
    """Name the field to blame; a rule over several fields names it in its id."""
    field = dotted(violation.field)
    if violation.rule is not None or violation.rule_id == "required":
        return field
    return f"{field}.{violation.rule_id}".removeprefix(".")


def _schemas(request: pb.GenerateRequest) -> Iterator[tuple[str, str]]:
    for index, tool in enumerate(request.tools):
        if tool.parameters_schema:
            yield f"tools[{index}].parameters_schema", tool.parameters_schema
    if request.response_format.HasField("json_schema"):
        yield "response_format.json_schema.schema", request.response_format.json_schema.schema


def _is_json_object(text: str) -> bool:
    try:
        _JSON_OBJECT.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
