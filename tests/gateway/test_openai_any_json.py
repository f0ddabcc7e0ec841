"""Whatever a caller sends is a request that the contract allows, or one clear error."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.v1 import error_reason_pb2 as reasons
from services.errors import MeshError
from services.gateway.openai.body import ChatCompletion
from services.gateway.openai.decode import decode
from services.gateway.openai.envelope import trailers
from services.gateway.openai.params import renamed
from services.gateway.openai.request import to_request
from services.gateway.validation import check_generate
from tests.gateway.bodies import CONVERSATION, GOOD

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
WHOLE: dict[str, Any] = {
    **GOOD,
    "messages": CONVERSATION,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
    "stream": True,
    "stream_options": {"include_usage": True},
    "logit_bias": {"1": 2},
    "stop": ["a"],
    "catenary": {"cache": {"mode": "bypass"}, "routing": {"prefer_backends": ["a"]}},
}


def answer_to(data: bytes) -> None:
    """Read a body as the servicer does; the only thing that may come out of it is a MeshError."""
    chat: ChatCompletion | None = None
    try:
        chat = decode(data)
        request = to_request(chat)
        check_generate(request)
    except MeshError as error:
        told = error if chat is None else renamed(error, chat)
        assert told.reason == reasons.ERROR_REASON_INVALID_REQUEST
        assert len(str(told)) < 400
        assert sum(len(key) + len(value) for key, value in trailers(told)) < 4096
        assert len(told.violations) <= 16
    else:
        assert request.SerializeToString()


def paths(value: Any) -> list[list[Any]]:
    """Every place in a JSON value."""
    if not isinstance(value, dict | list):
        return [[]]
    keys = value if isinstance(value, dict) else range(len(value))
    return [[], *([key, *path] for key in keys for path in paths(value[key]))]


def replaced(value: Any, path: list[Any], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def test_the_whole_from_which_damage_starts_is_allowed() -> None:
    check_generate(to_request(decode(json.dumps(WHOLE).encode())))


@settings(deadline=None)
@given(JSON)
def test_any_json(value: Any) -> None:
    answer_to(json.dumps(value).encode())


@settings(deadline=None)
@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    answer_to(data)


@settings(deadline=None)
@given(st.sampled_from(sorted(ChatCompletion.__struct_fields__)), JSON)
def test_any_value_in_any_field(field: str, value: Any) -> None:
    answer_to(json.dumps({**GOOD, field: value}).encode())


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(paths(WHOLE)), JSON | st.sampled_from(["text", "auto", "user", "function"]))
def test_any_value_anywhere(path: list[Any], value: Any) -> None:
    answer_to(json.dumps(replaced(WHOLE, path, value)).encode())


@settings(deadline=None)
@given(st.integers(0, len(json.dumps(WHOLE))), st.binary(max_size=3))
def test_any_damage_to_the_bytes(where: int, damage: bytes) -> None:
    data = json.dumps(WHOLE).encode()
    answer_to(data[:where] + damage + data[where + len(damage) :])
    answer_to(data[:where])
