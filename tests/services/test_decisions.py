"""Decisions as the log line and the spans tell them."""

from google.protobuf.duration_pb2 import Duration

from catenary.v1 import decision_pb2 as pb
from services.decisions import attributes

BLOCK, REDACT, ALLOW = pb.VERDICT_BLOCK, pb.VERDICT_REDACT, pb.VERDICT_ALLOW


def safety(
    direction: pb.Direction.ValueType, verdict: pb.Verdict.ValueType, *findings: pb.Finding
) -> pb.Decision:
    decided = pb.SafetyDecision(
        direction=direction, verdict=verdict, profile="own", findings=findings
    )
    return pb.Decision(safety=decided)


def finding(detector: str, verdict: pb.Verdict.ValueType = ALLOW, score: float = 1.0) -> pb.Finding:
    return pb.Finding(detector=detector, category="c", verdict=verdict, score=score, count=1)


def test_each_link_has_its_own_names() -> None:
    attempt = pb.Attempt(backend="b", reason="QUEUE_FULL", duration=Duration(nanos=500_000_000))
    cache = pb.CacheDecision(outcome=pb.CacheDecision.OUTCOME_MISS)
    told = attributes(
        [
            pb.Decision(cache=cache),
            pb.Decision(router=pb.RouterDecision(routed_model="m", attempts=[attempt])),
            pb.Decision(),
        ]
    )
    assert told == {
        "mesh.cache.outcome": "miss",
        "mesh.router.routed_model": "m",
        "mesh.router.attempts.0.backend": "b",
        "mesh.router.attempts.0.reason": "QUEUE_FULL",
        "mesh.router.attempts.0.duration_s": 0.5,
    }


def test_safety_is_told_in_both_directions_and_what_came_later_is_added() -> None:
    told = attributes(
        [
            safety(pb.DIRECTION_INPUT, ALLOW, finding("pii")),
            safety(pb.DIRECTION_OUTPUT, BLOCK, finding("deny", BLOCK)),
            safety(pb.DIRECTION_OUTPUT, REDACT, finding("secrets", REDACT, 0.5)),
        ]
    )
    assert told["mesh.safety.input.verdict"] == "allow"
    assert told["mesh.safety.input.findings.0.detector"] == "pii"
    assert told["mesh.safety.output.verdict"] == "block"
    assert told["mesh.safety.output.profile"] == "own"
    assert told["mesh.safety.output.findings.0.detector"] == "deny"
    assert told["mesh.safety.output.findings.1.detector"] == "secrets"
    assert told["mesh.safety.output.findings.1.score"] == 0.5
    assert not any("direction" in name for name in told)


def test_what_is_told_of_a_list_is_bounded_and_the_worst_stands_first() -> None:
    mild = [finding(f"d{number}") for number in range(100)]
    told = attributes(
        [
            safety(direction, BLOCK, *mild, finding("deny", BLOCK))
            for direction in (pb.DIRECTION_INPUT, pb.DIRECTION_OUTPUT)
        ]
    )
    assert told["mesh.safety.input.findings.0.detector"] == "deny"
    assert told["mesh.safety.output.findings.more"] == 93
    # A span has no more by default, and its hop's own are some 15.
    assert len(told) < 128 - 20
