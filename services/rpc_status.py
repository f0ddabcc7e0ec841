"""The mesh's errors on the wire: google.rpc.Status with details."""

from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from catenary.v1.decision_pb2 import Decision
from catenary.v1.error_reason_pb2 import ErrorReason
from services import errors
from services.errors import REASON_PREFIX, MeshError, Violation

DOMAIN = "catenary"
"""The `domain` of every google.rpc.ErrorInfo of the mesh."""

STATUS_DETAILS = "grpc-status-details-bin"
"""The trailing metadata that holds google.rpc.Status, as every gRPC library reads it."""

_REASONS = frozenset(ErrorReason.keys())
_GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}


def to_status(error: MeshError) -> status_pb2.Status:
    """Put the error into google.rpc.Status, each kind of detail at most once (AIP-193).

    But for decisions, of which each link has its own.
    """
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason_name, domain=DOMAIN, metadata=dict(error.metadata)
        )
    ]
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if error.violations:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=violation.field, description=violation.description
                    )
                    for violation in error.violations
                ]
            )
        )
    details.extend(error.decisions)
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=error.code.value[0], message=error.message, details=packed)


def from_status(status: status_pb2.Status, upstream: str) -> MeshError:
    """Read the error back out of google.rpc.Status; the inverse of `to_status`.

    A status that is not the mesh's own (Envoy's, a proxy's, gRPC's own) is classified by its code.
    """
    info, retry, bad_request = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.BadRequest(),
    )
    has_retry = False
    decisions: list[Decision] = []
    for detail in status.details:
        detail.Unpack(info) or detail.Unpack(bad_request)
        has_retry = detail.Unpack(retry) or has_retry
        decision = Decision()
        if detail.Unpack(decision):
            decisions.append(decision)
    if info.domain != DOMAIN or REASON_PREFIX + info.reason not in _REASONS:
        return _foreign(_GRPC_CODES.get(status.code, grpc.StatusCode.UNKNOWN), upstream)
    return MeshError(
        ErrorReason.Value(REASON_PREFIX + info.reason),
        status.message,
        dict(info.metadata),
        retry.retry_delay.ToNanoseconds() / 1e9 if has_retry else None,
        tuple(Violation(v.field, v.description) for v in bad_request.field_violations),
        tuple(decisions),
    )


def from_rpc_error(error: grpc.aio.AioRpcError, upstream: str) -> MeshError:
    """Read the error of a failed call; what is not the mesh's own is classified by its code."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS and isinstance(value, bytes):
            try:
                return from_status(status_pb2.Status.FromString(value), upstream)
            except DecodeError:
                break
    return _foreign(error.code(), upstream)


def _foreign(code: grpc.StatusCode, upstream: str) -> MeshError:
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.deadline_exceeded()
    if code == grpc.StatusCode.UNAVAILABLE:
        return errors.upstream_unreachable(upstream)
    return errors.upstream_failed(upstream)


async def abort(
    context: grpc.aio.ServicerContext[Any, Any],
    error: MeshError,
    metadata: tuple[tuple[str, str], ...] = (),
) -> NoReturn:
    """End the call with the error's status, its details, and further trailing metadata."""
    status = to_status(error)
    details = ((STATUS_DETAILS, status.SerializeToString()), *metadata)
    await context.abort(error.code, error.message, details)
