"""What Triton says when it fails, in the words of the mesh; its own never travel on."""

import grpc

from services import errors
from services.errors import MeshError

TRITON = "triton"
_BACKOFF_S = 1.0

_UNKNOWN_MODEL = ("unknown model", "is not found", "has no available versions")
_NO_PLACE = ("Exceeds maximum queue size", "Request timeout expired")
_CANCELLED = ("Request cancelled by client", "Request was cancelled")
_LEAVING = ("shutting down", "is unavailable")


def from_rpc(model: str, error: grpc.aio.AioRpcError) -> MeshError:
    """Return what the failure of a call to Triton means."""
    match error.code():
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.deadline_exceeded()
        case grpc.StatusCode.NOT_FOUND:
            return errors.model_not_found(model)
        case grpc.StatusCode.UNAVAILABLE:
            otherwise = errors.upstream_unreachable(TRITON)
        case _:
            otherwise = errors.upstream_failed(TRITON)
    return _told(model, error.details() or "") or otherwise


def from_text(model: str, text: str) -> MeshError:
    """Return what an error inside a stream means, of which Triton tells only words."""
    return _told(model, text) or errors.upstream_failed(TRITON)


def _told(model: str, text: str) -> MeshError | None:
    if any(words in text for words in _UNKNOWN_MODEL):
        return errors.model_not_found(model)
    if any(words in text for words in _NO_PLACE):
        return errors.queue_full(model, _BACKOFF_S)
    if any(words in text for words in _CANCELLED):
        # Whoever reads this has not left, so it was the deadline, which Triton saw first.
        return errors.deadline_exceeded()
    if any(words in text for words in _LEAVING):
        return errors.upstream_unreachable(TRITON)
    return None
