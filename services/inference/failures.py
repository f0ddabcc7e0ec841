"""The failures of our engines, in the words of the mesh."""

from infra.engine.failure import Failure, Reason
from services import errors
from services.errors import MeshError
from services.inference.inputs import field_of

_BACKOFF_S = 1.0


def mesh_error(model: str, failure: Failure) -> MeshError:
    """Return what a failure of the engine that runs `model` means to a caller."""
    match failure.reason:
        case Reason.INVALID:
            return errors.invalid_field(field_of(failure.field), failure.message)
        case Reason.QUEUE_FULL | Reason.OUT_OF_MEMORY:
            return errors.queue_full(model, failure.retry_after_s or _BACKOFF_S)
        case Reason.TOO_MANY_GUIDES:
            return errors.too_many_forms(model, failure.retry_after_s or _BACKOFF_S)
        case Reason.DEADLINE_TOO_SHORT:
            return errors.deadline_too_short(model)
        case Reason.DEADLINE_EXCEEDED | Reason.CANCELLED:
            # Whoever reads this has not left, so it was the deadline, which Triton saw first.
            return errors.deadline_exceeded()
        case Reason.ENGINE_FAILED | Reason.ENGINE_RESTARTING | Reason.ENGINE_BROKEN:
            return _of_the_engine(model, failure)


def _of_the_engine(model: str, failure: Failure) -> MeshError:
    if failure.reason is Reason.ENGINE_FAILED:
        return errors.upstream_failed("engine")
    if failure.reason is Reason.ENGINE_RESTARTING:
        return errors.engine_restarting(model, failure.retry_after_s or _BACKOFF_S)
    return errors.model_unavailable(model, has_failed=True)
