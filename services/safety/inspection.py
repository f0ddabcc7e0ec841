"""What is looked for in a request, and what comes of it: it passes, it passes changed, or not."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from catenary.v1 import decision_pb2
from services import errors
from services.link import Call
from services.safety.audit import Audit, Blocked
from services.safety.decisions import MAX_REFUSED, decision, summary
from services.safety.looking import Found, Looking
from services.safety.metrics import INPUT, SafetyMetrics
from services.safety.passages import Passage
from services.safety.policy import Policy
from services.safety.profile import BLOCK, REWRITING, Profile, Rule
from services.safety.pseudonyms import Pseudonyms
from services.safety.rewriting import rewrite

AnyRequest = TypeVar("AnyRequest", bound=Message)

_LARGE_BYTES = 64 * 1024
"""From here on a request is taken apart in a thread: 1 ms of work."""


@dataclass(frozen=True, slots=True)
class Case:
    """Whose request it is, and what holds for it to its end."""

    policy: Policy
    profile: Profile
    call: Call
    end_user: str = ""

    def record(self, direction: str, finding: decision_pb2.Finding) -> dict[str, Any]:
        """Return what the audit tells of something that did not pass."""
        return {
            "request_id": self.call.request_id,
            "tenant": self.call.tenant,
            "key_id": self.call.key_id,
            "end_user": self.end_user,
            "policy": self.policy.digest,
            "profile": self.profile.name,
            "direction": direction,
            "detector": finding.detector,
            "category": finding.category,
            "score": round(finding.score, 4),
            "severity": finding.severity,
        }


@dataclass(frozen=True, slots=True)
class Passed(Generic[AnyRequest]):
    """A request that may go on."""

    request: AnyRequest
    """The caller's own, or a copy that was changed."""
    pseudonyms: Pseudonyms
    """What the placeholders in it stand for."""
    findings: Sequence[decision_pb2.Finding]


@dataclass(frozen=True, slots=True)
class Inspector:
    """Looks into requests."""

    looking: Looking
    metrics: SafetyMetrics
    audit: Audit

    def close(self) -> None:
        """Give back the threads."""
        self.looking.close()
        self.audit.close()

    async def inspect(
        self,
        request: AnyRequest,
        gather: Callable[[AnyRequest], Iterator[Passage]],
        rules: Sequence[Rule],
        case: Case,
        max_chars: int,
        *,
        field: str = "messages",
    ) -> Passed[AnyRequest]:
        """Look at the texts of a request, and change a copy of it where the rules say so.

        Args:
            request: stays as it is.
            gather: gives the texts of a request.
            rules: look.
            case: whose request it is.
            max_chars: the most characters of all the texts together.
            field: holds the texts, as errors name it.

        Raises:
            MeshError: PROMPT_BLOCKED; INVALID_REQUEST for more than `max_chars` characters;
                SAFETY_UNAVAILABLE where a rule that fails closed cannot tell; OVERLOADED.
        """
        is_large = request.ByteSize() > _LARGE_BYTES
        passages = await _aside(lambda: list(gather(request)), is_large=is_large)
        chars = sum(len(passage.text.raw) for passage in passages if passage.is_read)
        if chars > max_chars:
            raise errors.prompt_too_long(chars, max_chars, field)
        found = await self.looking.look(rules, passages, case.profile.allowed)
        findings = summary(chain.from_iterable(found))
        self.metrics.found(findings, INPUT, case.profile.name)
        if findings and findings[0].verdict == decision_pb2.VERDICT_BLOCK:
            self._record(passages, found, findings[0], case)
            refusal = errors.prompt_blocked(
                findings[0].detector,
                findings[0].category,
                case.profile.refusal(findings[0].detector),
            )
            told = findings[:MAX_REFUSED]
            refusal.decisions = (decision(case.profile.name, decision_pb2.DIRECTION_INPUT, told),)
            raise refusal
        pseudonyms = Pseudonyms()
        if any(one.action in REWRITING for one in chain.from_iterable(found)):
            request = await _aside(
                lambda: _rewritten(request, gather, found, pseudonyms), is_large=is_large
            )
        return Passed(request, pseudonyms, findings)

    def _record(
        self, passages: Sequence[Passage], found: Found, finding: decision_pb2.Finding, case: Case
    ) -> None:
        """Record the text in which something was found that did not pass."""
        text = next(
            passage.text.raw
            for passage, of_passage in zip(passages, found, strict=True)
            for one in of_passage
            if one.action == BLOCK
            and (one.finding.detector, one.finding.category) == (finding.detector, finding.category)
        )
        self.audit.add(Blocked(case.policy.config.audit, text, case.record(INPUT, finding)))


def _rewritten(
    request: AnyRequest,
    gather: Callable[[AnyRequest], Iterator[Passage]],
    found: Found,
    pseudonyms: Pseudonyms,
) -> AnyRequest:
    changed = type(request)()
    changed.CopyFrom(request)
    rewrite(list(gather(changed)), found, pseudonyms)
    return changed


Result = TypeVar("Result")


async def _aside(work: Callable[[], Result], *, is_large: bool) -> Result:
    return await asyncio.to_thread(work) if is_large else work()
