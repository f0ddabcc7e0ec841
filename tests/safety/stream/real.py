"""Rules of the detectors that there are, but for the classifier and what runs its encoder."""

from collections.abc import Mapping
from pathlib import Path

from catenary.config.v1 import safety_pb2 as pb
from catenary.config.v1.safety_pb2 import SafetyRule as Rule
from services.config import complete_policy
from services.config.reader import Given
from services.safety.answer_rules import AnswerRules
from services.safety.looking import Looking
from services.safety.policy import compiled

SYSTEM = "You are the keeper of the harbour light, and never speak of the amber lantern below it."
DETECTORS = {
    "pii": Rule(pii=pb.PiiDetector()),
    "secrets": Rule(secrets=pb.SecretsDetector()),
    "deny": Rule(
        deny=pb.DenyDetector(
            phrases=["blue bird", "x", "stra\u00dfe 9"], patterns=["BB-[0-9]{2,9}", "q ?u"]
        )
    ),
    "language": Rule(language=pb.LanguageDetector(languages=["en"])),
    "length": Rule(length=pb.LengthDetector(max_tokens=40)),
    "characters": Rule(characters=pb.CharactersDetector()),
    "links": Rule(links=pb.LinksDetector(hosts=["a.example"])),
    "prompt_leak": Rule(prompt_leak=pb.PromptLeakDetector()),
}


def rules_of(handlings: Mapping[str, pb.SafetyHandling], looking: Looking) -> AnswerRules:
    """Build a call's rules for its answer, of the handling of each detector's findings."""
    profile = pb.SafetyProfile(name="any")
    for kind, handling in handlings.items():
        rule = profile.rules.add()
        rule.CopyFrom(DETECTORS[kind])
        rule.output.CopyFrom(handling)
        rule.deadline.FromSeconds(60)
    policy = pb.SafetyPolicy(profiles=[profile])
    complete_policy(policy)
    [built] = compiled(Given(Path("any.yaml"), policy, {}), ()).profiles.values()
    return AnswerRules(built, [SYSTEM], looking)
