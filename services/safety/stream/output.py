"""What of a completion may leave, as it streams: every choice of it, and how it then ends."""

from collections.abc import Callable, Iterator

from catenary.config.v1.safety_pb2 import (
    SAFETY_ACTION_BLOCK,
    SAFETY_ACTION_PSEUDONYMISE,
    SAFETY_ACTION_REDACT,
)
from catenary.v1 import decision_pb2, message_pb2
from catenary.v1 import generation_pb2 as pb
from services.safety.decisions import decided, summary
from services.safety.pseudonyms import Pseudonyms
from services.safety.stream.choice import Choice
from services.safety.stream.rules import Judged, Rules

_MOST_NOTED = 10_000
"""How many findings are told in decisions; more are acted on and counted all the same."""


class Output:
    """Passes on the events of one completion without what may not leave.

    Placeholders of the call turn back into what they stand for: behind the rules, which so see
    what the model said and nothing that is the caller's own.
    """

    def __init__(
        self,
        request: pb.GenerateRequest,
        rules: Rules,
        pseudonyms: Pseudonyms,
        on_finding: Callable[[Judged], None],
        on_held: Callable[[int], None],
    ) -> None:
        """Begin a completion.

        Args:
            request: as it was sent upstream.
            rules: what holds for what the model says.
            pseudonyms: what the prompt was written with.
            on_finding: is told each finding.
            on_held: is told after each delta how many tokens of its choice wait.
        """
        self._request = request
        self._rules = rules
        self._pseudonyms = pseudonyms
        self._on_finding = on_finding
        self._on_held = on_held
        self._filters = bool(rules.detectors) or bool(pseudonyms)
        self._choices: dict[int, Choice] = {}
        self._told_blocked: set[int] = set()
        self._is_finished = False
        self._untold: list[Judged] = []
        self._served_model = request.model
        self._usage = message_pb2.Usage()

    @property
    def blocked(self) -> bool:
        """Every choice has been blocked: what is still generated is of no use."""
        expected = self._request.sampling.n or 1
        return not self._is_finished and len(self._told_blocked) >= expected

    def read(self, event: pb.GenerateResponse) -> Iterator[pb.GenerateResponse]:
        """Take the next event; give what may leave now.

        Raises:
            MeshError: MALFORMED_TOOL_CALL: the tool calls of a choice take more than is held.
        """
        if not self._filters:
            yield event
        elif event.HasField("delta"):
            yield from self._read_delta(event.delta)
        elif event.HasField("finished"):
            self._is_finished = True
            yield from self._finish()
            yield self._finished(event.finished)
        else:
            self._note(event.decision)
            yield event

    def cut(self) -> pb.GenerateResponse:
        """Return the end of a completion whose upstream was stopped, with its usage so far."""
        choices = [
            pb.ChoiceFinish(choice=index, finish_reason=message_pb2.FINISH_REASON_CONTENT_FILTER)
            for index in sorted(self._choices)
        ]
        return pb.GenerateResponse(
            finished=pb.Finished(
                choices=choices, usage=self._usage, served_model=self._served_model
            )
        )

    def _read_delta(self, delta: pb.Delta) -> Iterator[pb.GenerateResponse]:
        self._usage.output_tokens += delta.output_tokens
        choice = self._choices.get(delta.choice)
        if choice is None:
            choice = self._choices[delta.choice] = Choice(
                delta.choice, self._request, self._rules, self._pseudonyms, self._note_finding
            )
        if choice.blocked:
            return
        yield from self._leaving(delta.choice, choice.read(delta))
        self._on_held(0 if choice.blocked else choice.held_tokens)

    def _leaving(self, index: int, safe: pb.Delta | None) -> Iterator[pb.GenerateResponse]:
        if safe is not None:
            yield pb.GenerateResponse(delta=safe)
        if self._choices[index].blocked:
            self._told_blocked.add(index)
            yield self._decided()

    def _finish(self) -> Iterator[pb.GenerateResponse]:
        for index, choice in self._choices.items():
            if not choice.blocked:
                yield from self._leaving(index, choice.finish())
        if self._untold:
            yield self._decided()

    def _finished(self, finished: pb.Finished) -> pb.GenerateResponse:
        event = pb.GenerateResponse(finished=finished)
        for end in event.finished.choices:
            if end.choice in self._told_blocked:
                end.finish_reason = message_pb2.FINISH_REASON_CONTENT_FILTER
                end.stop = ""
            # It went up as a placeholder, where the caller's own holds a value.
            end.stop = self._pseudonyms.restore(end.stop)
        return event

    def _note_finding(self, judged: Judged) -> None:
        if judged.action == SAFETY_ACTION_PSEUDONYMISE:
            judged = judged._replace(action=SAFETY_ACTION_REDACT)
        self._on_finding(judged)
        if judged.action == SAFETY_ACTION_BLOCK or len(self._untold) < _MOST_NOTED:
            self._untold.append(judged)

    def _decided(self) -> pb.GenerateResponse:
        """Tell what was found since the last time."""
        findings = summary(self._untold)
        self._untold.clear()
        return decided(self._rules.profile, decision_pb2.DIRECTION_OUTPUT, findings)

    def _note(self, decision: decision_pb2.Decision) -> None:
        """Learn what the last event would tell, for a completion that never comes to it."""
        if decision.HasField("router"):
            self._served_model = decision.router.routed_model
        elif decision.HasField("inference"):
            self._served_model = decision.inference.model
            self._usage.input_tokens = decision.inference.input_tokens
            self._usage.cached_input_tokens = decision.inference.cached_input_tokens
