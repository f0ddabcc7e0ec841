"""What the policy would say of one text, with nothing done about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from catenary.config.v1 import safety_pb2 as config_pb
from catenary.v1 import decision_pb2
from catenary.v1 import safety_pb2 as pb
from services import errors
from services.link import Call
from services.safety.answer_rules import of_answer
from services.safety.decisions import verdict
from services.safety.detector import Source, Text
from services.safety.looking import Looking
from services.safety.passages import Passage, Piece
from services.safety.policies import Policies
from services.safety.profile import PLACE, Profile
from services.safety.pseudonyms import Pseudonyms
from services.safety.rewriting import rewrite
from services.safety.stream.rules import Judged

MAX_FINDINGS = 10_000
"""The most that are told of one text, the first ones."""

_SOURCES = {
    pb.TEXT_SOURCE_UNSPECIFIED: Source.USER,
    pb.TEXT_SOURCE_USER: Source.USER,
    pb.TEXT_SOURCE_SYSTEM: Source.SYSTEM,
    pb.TEXT_SOURCE_DOCUMENT: Source.DOCUMENT,
    pb.TEXT_SOURCE_ANSWER: Source.ANSWER,
}


@dataclass(frozen=True, slots=True)
class SafetyChecker:
    """Answers who asks for the policy alone.

    What is found is neither counted nor recorded; what detectors take is, and that they fail.
    """

    policies: Policies
    looking: Looking
    max_chars: int

    async def check(self, request: pb.CheckRequest, call: Call) -> pb.CheckResponse:
        """Tell what would be done about a text.

        Raises:
            MeshError: INVALID_REQUEST, for a text that is too long, or a profile that does not
                exist or is laxer; SAFETY_UNAVAILABLE or OVERLOADED, where nothing can be told.
        """
        if len(request.text) > self.max_chars:
            raise errors.prompt_too_long(len(request.text), self.max_chars, "text")
        profile = self.policies.policy.profile(call.tenant, request.profile, "profile")
        return await checked(request.text, _SOURCES[request.source], profile, self.looking)

    async def get_policy(
        self,
        request: pb.GetPolicyRequest,  # noqa: ARG002 - the protocol's
        call: Call,
    ) -> pb.GetPolicyResponse:
        """Tell which policy is in force, as far as it concerns the caller."""
        policy = self.policies.policy
        return pb.GetPolicyResponse(
            profile=policy.profile(call.tenant, "").name,
            profiles=policy.open_to(call.tenant),
            digest=policy.digest,
            refusal=self.policies.refusal,
            file=policy.file,
        )


async def checked(raw: str, source: Source, profile: Profile, looking: Looking) -> pb.CheckResponse:
    """Tell what a profile would do about a text that stands there."""
    written: list[str] = [raw]

    def write(changed: Sequence[str | None]) -> None:
        written[0] = changed[0] or ""

    passage = Passage(Text(raw, source), [Piece(0, len(raw))], write)
    rules = profile.rules_for(PLACE[source])
    [found] = await looking.look(rules, [passage], profile.allowed)
    found = sorted(of_answer(found) if source == Source.ANSWER else found)
    rewrite([passage], [found], Pseudonyms())
    worst = max((one.action for one in found), default=config_pb.SAFETY_ACTION_ALLOW)
    return pb.CheckResponse(
        verdict=verdict(worst),
        profile=profile.name,
        findings=map(_told, found[:MAX_FINDINGS]),
        text="" if worst == config_pb.SAFETY_ACTION_BLOCK else written[0],
    )


def _told(judged: Judged) -> pb.CheckFinding:
    found = judged.finding
    finding = decision_pb2.Finding(
        detector=found.detector,
        category=found.category,
        score=found.score,
        verdict=verdict(judged.action),
        would=verdict(judged.would),
        severity=found.severity,
        count=1,
    )
    return pb.CheckFinding(finding=finding, start=judged.start, end=judged.end)
