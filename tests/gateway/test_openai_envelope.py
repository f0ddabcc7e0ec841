"""Errors in OpenAI's shape."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catenary.v1 import error_reason_pb2
from catenary.v1.decision_pb2 import Decision, SafetyDecision
from services import errors
from services.errors import MeshError
from services.gateway.openai.envelope import envelope, trailers

REASONS = [value for value in error_reason_pb2.ErrorReason.values() if value]


@pytest.mark.parametrize("reason", REASONS, ids=error_reason_pb2.ErrorReason.Name)
def test_every_reason_has_a_shape(reason: error_reason_pb2.ErrorReason.ValueType) -> None:
    error = json.loads(envelope(MeshError(reason, "it failed")))["error"]
    assert error["message"] == "it failed"
    assert error["type"].endswith("_error")


@pytest.mark.parametrize(
    ("error", "kind", "code", "param"),
    [
        (errors.invalid_field("n", "is bad"), "invalid_request_error", None, "n"),
        (
            errors.unsupported("n", "pocket", "is 1"),
            "invalid_request_error",
            "unsupported_parameter",
            "n",
        ),
        (errors.model_not_found("x"), "invalid_request_error", "model_not_found", "model"),
        (
            errors.context_window_exceeded(9, 9, 9),
            "invalid_request_error",
            "context_length_exceeded",
            "messages",
        ),
        (errors.prompt_blocked("d", "c"), "permission_error", "content_filter", "messages"),
        (errors.queue_full("pocket", 1), "rate_limit_error", "queue_full", None),
        (errors.internal(), "server_error", "internal", None),
    ],
)
def test_clients_find_the_codes_that_they_know(
    error: MeshError, kind: str, code: str | None, param: str | None
) -> None:
    body = json.loads(envelope(error))["error"]
    assert (body["type"], body["code"], body["param"]) == (kind, code, param)


def test_when_to_come_back_is_in_whole_seconds_rounded_up() -> None:
    assert dict(trailers(errors.queue_full("pocket", 1.2)))["retry-after"] == "2"
    assert "retry-after" not in dict(trailers(errors.internal()))


@settings(deadline=None)
@example("\x00\n\x7f")
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_it_is_printable_ascii_whatever_it_tells(text: str) -> None:
    line = envelope(errors.invalid_field(text, text))
    assert all(" " <= character <= "~" for character in line)
    assert json.loads(line)["error"]["param"] == (text or None)


def test_what_was_decided_stands_beside_openais_own() -> None:
    error = errors.prompt_blocked("deny", "phrase")
    assert "catenary" not in json.loads(envelope(error))["error"]
    error.decisions = (Decision(safety=SafetyDecision(profile="größe")),)
    told = json.loads(envelope(error))["error"]["catenary"]
    assert told == {"decisions": [{"safety": {"profile": "größe"}}]}
    assert envelope(error).isascii()
