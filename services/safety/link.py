"""The link that lets nothing through that may not pass, in either direction."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from catenary.v1 import decision_pb2
from catenary.v1 import generation_pb2 as pb
from services.link import Call, Events, Link
from services.safety import passages
from services.safety.answer import Answer
from services.safety.before_verdict import held
from services.safety.decisions import decided
from services.safety.inspection import Case, Inspector, Passed
from services.safety.policies import Policies
from services.safety.profile import Rule


@dataclass(frozen=True, slots=True)
class Safety:
    """Refuses or rewrites prompts, and filters completions, as the caller's profile says."""

    upstream: Link
    policies: Policies
    inspector: Inspector
    max_prompt_chars: int

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream what may leave of the upstream's events.

        Raises:
            MeshError: INVALID_REQUEST for a prompt that is too long or a profile that may not be
                asked for, PROMPT_BLOCKED, OVERLOADED, SAFETY_UNAVAILABLE; nothing of the upstream's
                has been given then, but for SAFETY_UNAVAILABLE of the answer's own rules.
        """
        policy = self.policies.policy
        profile = policy.profile(call.tenant, request.controls.safety_profile)
        case = Case(policy, profile, call, request.end_user)
        first, meanwhile = profile.prompt_rules()
        passed = await self._inspect(request, first, case)
        try:
            async with aclosing(self._leaving(request, passed, meanwhile, case)) as events:
                async for event in events:
                    yield event
        finally:
            passed.pseudonyms.wipe()

    async def _leaving(
        self,
        request: pb.GenerateRequest,
        passed: Passed[pb.GenerateRequest],
        meanwhile: Sequence[Rule],
        case: Case,
    ) -> Events:
        """Stream what may leave, while the rest of the rules looks at the prompt."""
        findings = list(passed.findings)

        async def check() -> None:
            findings.extend((await self._inspect(request, meanwhile, case)).findings)

        answer = Answer(passed, case, self.inspector)
        leaving: Sequence[pb.GenerateResponse] = ()
        async with (
            aclosing(self.upstream.generate(passed.request, case.call)) as upstream,
            aclosing(held(upstream, check()) if meanwhile else upstream) as events,
        ):
            async for event in events:
                leaving = await answer.read(event)
                if answer.blocked:
                    break
                for safe in leaving:
                    yield safe
                if event.HasField("started"):
                    yield decided(case.profile.name, decision_pb2.DIRECTION_INPUT, findings)
            else:
                return
        # Here the upstream has been stopped: what is blocked costs no more while the rest is read.
        for safe in leaving:
            yield safe
        yield answer.cut()

    async def _inspect(
        self, request: pb.GenerateRequest, rules: Sequence[Rule], case: Case
    ) -> Passed[pb.GenerateRequest]:
        return await self.inspector.inspect(
            request, passages.of_request, rules, case, self.max_prompt_chars
        )
