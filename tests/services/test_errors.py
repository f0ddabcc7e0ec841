"""Errors and their form on the wire."""

import re
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from catenary.v1.decision_pb2 import Decision, Finding, SafetyDecision
from catenary.v1.error_reason_pb2 import ErrorReason
from services import errors
from services.errors import MeshError, Violation
from services.rpc_status import from_status, to_status

PROTO = Path(__file__).resolve().parents[2] / "protos/catenary/v1/error_reason.proto"
REASONS = [value for value in ErrorReason.values() if value]
TEXT = st.text(max_size=40)
DECISIONS = st.builds(
    lambda category: Decision(safety=SafetyDecision(findings=[Finding(category=category)])), TEXT
)
ERRORS = st.builds(
    MeshError,
    st.sampled_from(REASONS),
    TEXT,
    st.dictionaries(TEXT, TEXT, max_size=4),
    st.one_of(st.none(), st.integers(0, 10**12).map(lambda micros: micros / 1e6)),
    st.lists(st.builds(Violation, TEXT, TEXT), max_size=4).map(tuple),
    st.lists(DECISIONS, max_size=2).map(tuple),
)


@given(ERRORS)
def test_an_error_comes_back_from_the_wire_as_it_was(error: MeshError) -> None:
    back = from_status(
        status_pb2.Status.FromString(to_status(error).SerializeToString()), "upstream"
    )
    for part in ("reason", "message", "metadata", "retry_after_s", "violations", "decisions"):
        assert getattr(back, part) == getattr(error, part)


@given(ERRORS)
def test_each_kind_of_detail_stands_at_most_once_and_error_info_always(error: MeshError) -> None:
    urls = [detail.type_url for detail in to_status(error).details]
    kinds = [url for url in urls if not url.endswith("/catenary.v1.Decision")]
    assert len(kinds) == len(set(kinds))
    assert kinds[0] == "type.googleapis.com/google.rpc.ErrorInfo"


@pytest.mark.parametrize("reason", REASONS, ids=ErrorReason.Name)
def test_every_reason_has_a_code_and_a_sample(reason: ErrorReason.ValueType) -> None:
    error = MeshError(reason, "")
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+[A-Z0-9]", error.reason_name)
    comment, _, _ = PROTO.read_text().partition(f"  {ErrorReason.Name(reason)} =")
    comment = comment.rpartition("\n\n")[2]
    assert f"{error.code.name}" in comment
    assert f'"reason": "{error.reason_name}", "domain": "catenary"' in comment
    assert ("RetryInfo" in comment) == (error.code.name in {"UNAVAILABLE", "RESOURCE_EXHAUSTED"})


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNREACHABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.INTERNAL, "UPSTREAM_FAILED"),
        (grpc.StatusCode.UNIMPLEMENTED, "UPSTREAM_FAILED"),
    ],
)
def test_an_error_that_is_not_ours_is_known_by_its_code(code: grpc.StatusCode, reason: str) -> None:
    status = status_pb2.Status(code=code.value[0], message="a driver's own words")
    error = from_status(status, "cache")
    assert error.reason_name == reason
    assert "driver" not in error.message


def test_a_status_of_another_domain_is_not_ours() -> None:
    status = to_status(errors.internal())
    stolen = status_pb2.Status.FromString(
        status.SerializeToString().replace(b"catenary", b"catenarz")
    )
    assert from_status(stolen, "cache").reason_name == "UPSTREAM_FAILED"


@pytest.mark.parametrize(
    "error",
    [
        errors.queue_full("m", 1.5),
        errors.overloaded("gateway"),
        errors.upstream_unreachable("x"),
        errors.upstream_failed("x"),
        errors.engine_restarting("m", 1.0),
        errors.malformed_tool_call("x"),
    ],
    ids=lambda error: error.reason_name,
)
def test_what_passes_by_itself_says_when_to_come_back(error: MeshError) -> None:
    assert error.retry_after_s is not None
    assert error.retry_after_s > 0
