"""What the safety link says that it did: findings summed up, and never a text."""

from collections.abc import Iterable, Sequence

from catenary.v1 import decision_pb2
from catenary.v1 import generation_pb2 as pb
from services.safety.stream.rules import Judged

MAX_FINDINGS = 100
"""The most that one decision tells, the most severe first: decisions go into spans and logs."""
MAX_REFUSED = 16
"""The same for a decision beside an error, which travels in trailers of limited size."""


def summary(judged: Iterable[Judged]) -> list[decision_pb2.Finding]:
    """Sum up what was found by detector, category and verdict, the most severe first."""
    known: dict[tuple[str, str, int, int], decision_pb2.Finding] = {}
    for one in judged:
        found = one.finding
        key = (found.detector, found.category, one.action, one.would)
        summed = known.get(key)
        if summed is None:
            summed = known[key] = decision_pb2.Finding(
                detector=found.detector,
                category=found.category,
                verdict=verdict(one.action),
                would=verdict(one.would),
            )
        summed.count += 1
        summed.score = max(summed.score, found.score)
        summed.severity = max(summed.severity, found.severity)
    ordered = sorted(known.values(), key=lambda one: (-one.verdict, -one.would, -one.score))
    return ordered[:MAX_FINDINGS]


def verdict(action: int) -> decision_pb2.Verdict.ValueType:
    """Return what the actions of a policy lead to; both count from the mildest."""
    return decision_pb2.Verdict.Value(decision_pb2.Verdict.Name(action))  # type: ignore[arg-type]


def decided(
    profile: str,
    direction: decision_pb2.Direction.ValueType,
    findings: Sequence[decision_pb2.Finding],
) -> pb.GenerateResponse:
    """Build the event that tells what was found, and the most severe thing done."""
    return pb.GenerateResponse(decision=decision(profile, direction, findings))


def decision(
    profile: str,
    direction: decision_pb2.Direction.ValueType,
    findings: Sequence[decision_pb2.Finding],
) -> decision_pb2.Decision:
    """Build what tells what was found, and the most severe thing done."""
    decided = decision_pb2.SafetyDecision(
        verdict=max((finding.verdict for finding in findings), default=decision_pb2.VERDICT_ALLOW),
        profile=profile,
        direction=direction,
        findings=findings,
    )
    return decision_pb2.Decision(safety=decided)
