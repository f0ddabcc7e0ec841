"""A profile: what is looked for in which texts, and what is done about what is found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from catenary.config.v1 import safety_pb2 as config_pb
from services.safety.detector import Detector, Finding, Source, Text
from services.safety.stream.rules import Judged

Action: TypeAlias = config_pb.SafetyAction.ValueType
"""What is done; the higher number is the more severe."""

ALLOW = config_pb.SAFETY_ACTION_ALLOW
BLOCK = config_pb.SAFETY_ACTION_BLOCK
REDACT = config_pb.SAFETY_ACTION_REDACT
PSEUDONYMISE = config_pb.SAFETY_ACTION_PSEUDONYMISE
REWRITING = (PSEUDONYMISE, REDACT)
"""What changes a text."""

PLACES = ("input", "documents", "output")
"""Where a text may stand, as the fields of a rule name it."""

UNAVAILABLE = "unavailable"
"""The category of what is told where a detector could not tell, and the text passes."""

PLACE = {
    Source.USER: "input",
    Source.SYSTEM: "input",
    Source.TOOL: "input",
    Source.LABEL: "input",
    Source.DOCUMENT: "documents",
    Source.ANSWER: "output",
}
"""Where each source's texts stand."""


class Handling(NamedTuple):
    """What is done about findings from a score on."""

    action: Action
    threshold: float
    tell_from: float = 1.0
    """From which score on findings below the threshold are told."""
    would: Action = config_pb.SAFETY_ACTION_UNSPECIFIED
    """What would be done, were the rule in force; unspecified where it is."""

    def judge(self, finding: Finding) -> Judged | None:
        """Return what is done about a finding; None where it does not count."""
        place = finding.start, finding.end
        if finding.score >= self.threshold:
            return Judged(*place, self.action, finding, self.would)
        if finding.score >= self.tell_from:
            return Judged(*place, ALLOW, finding)
        return None


@dataclass(frozen=True, slots=True)
class Rule:
    """One detector, and what is done about what it finds."""

    kind: str
    """The detector's name in the policy, for example `prompt_leak`."""
    detector: Detector
    handlings: Mapping[str, Handling]
    """By place; texts of a place that is not named are not looked at."""
    fails_closed: bool
    """What it cannot judge does not pass."""
    deadline_s: float
    """How long it may take for 64 Ki characters of one request; more have more, in proportion."""

    def looks_at(self, source: Source) -> bool:
        """Tell whether texts that stand there are looked at.

        Whoever runs the application speaks to the model in instructions: those are no injection.
        """
        if self.kind == "injection" and source == Source.SYSTEM:
            return False
        if source == (Source.TOOL if self.detector.reach else Source.LABEL):
            return False
        return self._place(source) in self.handlings

    def _place(self, source: Source) -> str:
        """Return where a text counts as standing; instructions of a tool's author are planted."""
        is_planted = self.kind == "injection" and source == Source.TOOL
        return "documents" if is_planted else PLACE[source]

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
        handling = self.handlings[self._place(text.source)]
        return sorted(
            judged
            for finding in self.detector.find(text)
            if (judged := handling.judge(finding))
            and not (allowed and text.raw[finding.start : finding.end].casefold() in allowed)
        )

    def unjudged(self, text: Text) -> Judged:
        """Return what tells that the detector could not judge a text, which passes all the same."""
        finding = Finding(0, len(text.raw), self.detector.name, UNAVAILABLE, 0.0)
        return Judged(0, len(text.raw), config_pb.SAFETY_ACTION_ALLOW, finding)


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

    def refusal(self, detector: str) -> str:
        """Return what the policy tells a caller whose text this detector blocks; often nothing."""
        rules = (rule for rule in self.config.rules if rule.WhichOneof("detector") == detector)
        return next((rule.refusal for rule in rules if rule.refusal), self.config.refusal)

    def rules_for(self, *places: str) -> list[Rule]:
        """Return the rules that look at texts of one of these places."""
        return [rule for rule in self.rules if rule.handlings.keys() & set(places)]


def kind_of(rule: config_pb.SafetyRule) -> str:
    """Return the detector that a rule names; empty where it names none."""
    return rule.WhichOneof("detector") or ""
