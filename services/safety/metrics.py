"""What the safety link counts, and the log line of a detector that fails."""

import logging
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

from catenary.v1 import decision_pb2
from services import telemetry

logger = logging.getLogger(__name__)

INPUT = "input"
OUTPUT = "output"
"""Values of the label `direction`."""

ERROR = "error"
LATE = "late"
STUCK = "stuck"
"""Values of the label `reason` of a failure; stuck: an earlier call still runs."""

# From 10 µs, a clean text and a quick detector, to the longest deadline.
_SECONDS = (
    *(0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005),
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60),
)
_TOKENS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


_MAX_SERIES = 2000
_OTHER = "other"
"""The category of what is found when there are so many series: secrets have 300, and profiles may
be many."""


class SafetyMetrics:
    """Findings, failures and times of detectors, and what the output filter holds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._findings = Counter(
            telemetry.SAFETY_FINDINGS,
            "What safety found, by what was done about it, direction (input, output) and profile.",
            ("detector", "category", "verdict", "direction", "profile"),
            registry=registry,
        )
        self._failures = Counter(
            telemetry.SAFETY_FAILURES,
            "Detectors that could not tell, by reason (error, late, stuck).",
            ("detector", "reason"),
            registry=registry,
        )
        self._seconds = Histogram(
            telemetry.SAFETY_DETECTOR_DURATION,
            "How long a detector took: for the texts of one request, or for a piece of an answer.",
            ("detector", "direction"),
            registry=registry,
            buckets=_SECONDS,
        )
        self.held_tokens = Histogram(
            telemetry.SAFETY_HELD_TOKENS,
            "The most tokens that were held back at once, a choice of a completion.",
            registry=registry,
            buckets=_TOKENS,
        )
        self.audit_lost = Counter(
            telemetry.SAFETY_AUDIT_LOST,
            "Blocks that could not be recorded.",
            registry=registry,
        )

        self._known: set[tuple[str, ...]] = set()

    def found(self, findings: Iterable[decision_pb2.Finding], direction: str, profile: str) -> None:
        """Count findings; each label is one of a closed list, that of the policy or our own.

        Of what a rule finds that runs dry, the verdict is `would_block` and the like.
        """
        for finding in findings:
            verdict = _verdict(finding)
            labels = (finding.detector, finding.category, verdict, direction, profile)
            if labels not in self._known:
                if len(self._known) >= _MAX_SERIES:
                    labels = (finding.detector, _OTHER, verdict, direction, profile)
                self._known.add(labels)
            self._findings.labels(*labels).inc(finding.count or 1)

    def took(self, detector: str, direction: str, seconds: float) -> None:
        """Count the time that a detector took; the names of detectors are few."""
        self._seconds.labels(detector, direction).observe(seconds)

    def failed(self, detector: str, reason: str, error: str = "") -> None:
        """Count a detector that could not tell, and log it: never its words, which may be a text's.

        Args:
            detector: its name.
            reason: `ERROR`, `LATE` or `STUCK`.
            error: the name of what it raised.
        """
        self._failures.labels(detector, reason).inc()
        extra = {"detector": detector, "reason": reason, "error": error}
        logger.error("a detector could not tell", extra=extra)


def _verdict(finding: decision_pb2.Finding) -> str:
    name = decision_pb2.Verdict.Name(finding.would or finding.verdict)
    short = name.removeprefix("VERDICT_").lower()
    return f"would_{short}" if finding.would else short
