"""The way back of one call: what of the answer may leave, and what is told and recorded of it."""

import asyncio
from collections.abc import Sequence

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
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
        if self._may_judge_whole(event):
            return await asyncio.to_thread(lambda: list(self._output.read(event)))
        return list(self._output.read(event))

    def cut(self) -> pb.GenerateResponse:
        """Return the end of an answer whose upstream was stopped."""
        return self._output.cut()

    def _may_judge_whole(self, event: pb.GenerateResponse) -> bool:
        if not self._rules.judges_whole:
            return False
        delta = event.delta
        self._rules.unjudged_chars += len(delta.text) + len(delta.reasoning)
        return event.HasField("finished") or self._rules.unjudged_chars >= _UNJUDGED_CHARS

    def _note(self, judged: Judged) -> None:
        [finding] = summary([judged])
        self._inspector.metrics.found([finding], OUTPUT)
        if judged.action == BLOCK:
            audit = self._case.policy.config.audit
            record = self._case.record(OUTPUT, finding)
            self._inspector.audit.add(Blocked(audit, self._rules.blocked, record))


def _system(request: pb.GenerateRequest) -> list[str]:
    """Return what whoever runs the application told the model, as the model has read it."""
    return [
        "".join(part.text for part in message.content)
        for message in request.messages
        if message.role == message_pb2.ROLE_SYSTEM
    ]
