"""What the safety link says that it did."""

from catenary.v1 import decision_pb2
from catenary.v1 import generation_pb2 as pb

PROFILE = "default"
"""The one profile there is: what the configuration denies."""

DENY_LIST = "deny_list"
"""The one detector there is, and the category of all that it finds."""


def allowed_input() -> pb.GenerateResponse:
    """Build the event that tells that the prompt may pass."""
    return _event(
        decision_pb2.SafetyDecision(
            verdict=decision_pb2.VERDICT_ALLOW,
            profile=PROFILE,
            direction=decision_pb2.DIRECTION_INPUT,
        )
    )


def blocked_output() -> pb.GenerateResponse:
    """Build the event that tells that a choice of the completion was cut."""
    finding = decision_pb2.Finding(
        detector=DENY_LIST, category=DENY_LIST, score=1, verdict=decision_pb2.VERDICT_BLOCK
    )
    return _event(
        decision_pb2.SafetyDecision(
            verdict=decision_pb2.VERDICT_BLOCK,
            profile=PROFILE,
            direction=decision_pb2.DIRECTION_OUTPUT,
            findings=[finding],
        )
    )


def _event(decision: decision_pb2.SafetyDecision) -> pb.GenerateResponse:
    return pb.GenerateResponse(decision=decision_pb2.Decision(safety=decision))
