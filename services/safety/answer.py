"""The way back of one call: what of the answer may leave, and what is told and recorded of it."""

import asyncio
from collections.abc import Sequence

from catenary.v1 import decision_pb2, message_pb2
from catenary.v1 import generation_pb2 as pb
from services.safety.answer_rules import AnswerRules
from services.safety.audit import Blocked
from services.safety.decisions import summary
from services.safety.inspection import Case, Inspector, Passed
from services.safety.metrics import OUTPUT
from services.safety.profile import BLOCK
from services.safety.stream.output import Output
from services.safety.stream.rules import Judged

_UNJUDGED_CHARS = 96
"""With fewer characters than these nothing is judged as a whole, which takes milliseconds."""
_LONG_CHARS = 128
"""What comes with more at once is looked at several times, each of which may take 30 ms."""


class Answer:
    """Filters one answer."""

    def __init__(
        self, passed: Passed[pb.GenerateRequest], case: Case, inspector: Inspector
    ) -> None:
        self._case = case
        self._inspector = inspector
        self._rules = AnswerRules(case.profile, _system(passed.request), inspector.looking)
        metrics = inspector.metrics
        self._output = Output(
            passed.request, self._rules, passed.pseudonyms, self._note, metrics.held_tokens.observe
        )

    @property
    def blocked(self) -> bool:
        """Nothing of what is still generated may leave."""
        return self._output.blocked

    async def read(self, event: pb.GenerateResponse) -> Sequence[pb.GenerateResponse]:
        """Take the next event; return what may leave now.

        Raises:
            MeshError: MALFORMED_TOOL_CALL: tool calls take more than is held.
        """
        if self._takes_long(event):
            leaving = await asyncio.to_thread(lambda: list(self._output.read(event)))
        else:
            leaving = list(self._output.read(event))
        for decided in leaving:
            if decided.decision.safety.verdict == decision_pb2.VERDICT_BLOCK:
                self._refuse(decided.decision.safety)
        return leaving

    def cut(self) -> pb.GenerateResponse:
        """Return the end of an answer whose upstream was stopped."""
        return self._output.cut()

    def _refuse(self, decision: decision_pb2.SafetyDecision) -> None:
        """Add to the decision that tells of a block what the policy says to callers."""
        decision.refusal = self._case.profile.refusal(decision.findings[0].detector)

    def _takes_long(self, event: pb.GenerateResponse) -> bool:
        """Tell whether to look at an event in a thread; at the end tool calls are looked at."""
        if not self._rules.detectors:
            return False
        chars = len(event.delta.text) + len(event.delta.reasoning)
        self._rules.unjudged_chars += chars
        may_judge_whole = self._rules.judges_whole and self._rules.unjudged_chars >= _UNJUDGED_CHARS
        return event.HasField("finished") or chars > _LONG_CHARS or may_judge_whole

    def _note(self, judged: Judged) -> None:
        [finding] = summary([judged])
        self._inspector.metrics.found([finding], OUTPUT, self._case.profile.name)
        if judged.action == BLOCK:
            audit = self._case.policy.config.audit
            record = self._case.record(OUTPUT, finding)
            self._inspector.audit.add(Blocked(audit, judged.text, record))


def _system(request: pb.GenerateRequest) -> list[str]:
    """Return what whoever runs the application told the model, as the model has read it."""
    return [
        "".join(part.text for part in message.content)
        for message in request.messages
        if message.role == message_pb2.ROLE_SYSTEM
    ]
