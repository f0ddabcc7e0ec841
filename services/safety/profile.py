"""A profile: what is looked for in which texts, and what is done about what is found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from catenary.config.v1 import safety_pb2 as config_pb
from services.safety.detector import Detector, Finding, Source, Text
from services.safety.stream.rules import Judged

Action: TypeAlias = config_pb.SafetyAction.ValueType
"""What is done; the higher number is the more severe."""

BLOCK = config_pb.SAFETY_ACTION_BLOCK
REDACT = config_pb.SAFETY_ACTION_REDACT
PSEUDONYMISE = config_pb.SAFETY_ACTION_PSEUDONYMISE
REWRITING = (PSEUDONYMISE, REDACT)
"""What changes a text."""

PLACES = ("input", "documents", "output")
"""Where a text may stand, as the fields of a rule name it."""

UNAVAILABLE = "unavailable"
"""The category of what is found where a detector could not tell, and nothing may pass untold."""

PLACE = {
    Source.USER: "input",
    Source.SYSTEM: "input",
    Source.DOCUMENT: "documents",
    Source.ANSWER: "output",
}
"""Where each source's texts stand."""


class Handling(NamedTuple):
    """What is done about findings from a score on."""

    action: Action
    threshold: float


@dataclass(frozen=True, slots=True)
class Rule:
    """One detector, and what is done about what it finds."""

    kind: str
    """The detector's name in the policy, for example `prompt_leak`."""
    detector: Detector
    handlings: Mapping[str, Handling]
    """By place; texts of a place that is not named are not looked at."""
    fails_closed: bool
    """What it cannot judge is blocked, rather than let pass."""
    deadline_s: float
    """How long it may take for the texts of one request."""

    def looks_at(self, source: Source) -> bool:
        """Tell whether texts that stand there are looked at.

        Whoever runs the application speaks to the model in instructions: those are no injection.
        """
        if self.kind == "injection" and source == Source.SYSTEM:
            return False
        return PLACE[source] in self.handlings

    def rewrites(self, places: Iterable[str]) -> bool:
        """Tell whether texts of one of these places may be changed."""
        return any(
            self.handlings[place].action in REWRITING for place in places if place in self.handlings
        )

    def judged(self, text: Text, allowed: frozenset[str] = frozenset()) -> list[Judged]:
        """Return what is found in a text that is looked at, in the order of the text.

        Raises:
            Exception: whatever the detector raises when it cannot tell.
        """
        action, threshold = self.handlings[PLACE[text.source]]
        return sorted(
            Judged(finding.start, finding.end, action, finding)
            for finding in self.detector.find(text)
            if finding.score >= threshold
            and not (allowed and text.raw[finding.start : finding.end].casefold() in allowed)
        )

    def unjudged(self, text: Text) -> list[Judged]:
        """Return what a text is taken for that the detector could not judge."""
        if not self.fails_closed:
            return []
        finding = Finding(0, len(text.raw), self.detector.name, UNAVAILABLE, 0.0)
        return [Judged(0, len(text.raw), BLOCK, finding)]


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules for one use."""

    name: str
    rules: Sequence[Rule]
    allowed: frozenset[str]
    """What no rule finds, case-folded."""
    check_while_generating: bool
    config: config_pb.SafetyProfile
    """What the policy says, for comparing."""

    def prompt_rules(self) -> tuple[list[Rule], list[Rule]]:
        """Return the rules that look at a prompt before it goes up, and those meanwhile."""
        rules = self.rules_for("input", "documents")
        if not self.check_while_generating:
            return rules, []
        first = [rule for rule in rules if rule.rewrites(("input", "documents"))]
        return first, [rule for rule in rules if not rule.rewrites(("input", "documents"))]

    def rules_for(self, *places: str) -> list[Rule]:
        """Return the rules that look at texts of one of these places."""
        return [rule for rule in self.rules if rule.handlings.keys() & set(places)]
