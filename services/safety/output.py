"""What of a completion may leave, as it streams: every choice of it, and how it then ends."""

from collections.abc import Callable, Iterator

from catenary.v1 import decision_pb2, message_pb2
from catenary.v1 import generation_pb2 as pb
from services.safety.choice import Choice
from services.safety.decisions import blocked_output
from services.safety.phrases import Phrases


class Output:
    """Passes on the events of one completion without what is denied in them."""

    def __init__(
        self, request: pb.GenerateRequest, deny: Phrases, on_block: Callable[[], None]
    ) -> None:
        self._on_block = on_block
        self._deny = deny
        self._choices: dict[int, Choice] = {}
        self._expected_choices = request.sampling.n or 1
        self._served_model = request.model
        self._usage = message_pb2.Usage()

    @property
    def blocked(self) -> bool:
        """Every choice has been blocked: what is still generated is of no use."""
        blocked = sum(choice.blocked for choice in self._choices.values())
        return blocked >= self._expected_choices

    def read(self, event: pb.GenerateResponse) -> Iterator[pb.GenerateResponse]:
        """Take the next event; give what may leave now."""
        if event.HasField("delta"):
            yield from self._read_delta(event.delta)
        elif event.HasField("finished"):
            yield from self._flush()
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
        choice = self._choices.setdefault(delta.choice, Choice(delta.choice, self._deny))
        if choice.blocked:
            return
        safe = choice.read(delta)
        if safe is not None:
            yield pb.GenerateResponse(delta=safe)
        if choice.blocked:
            self._on_block()
            yield blocked_output()

    def _flush(self) -> Iterator[pb.GenerateResponse]:
        for choice in self._choices.values():
            rest = None if choice.blocked else choice.flush()
            if rest is not None:
                yield pb.GenerateResponse(delta=rest)

    def _finished(self, finished: pb.Finished) -> pb.GenerateResponse:
        event = pb.GenerateResponse(finished=finished)
        for end in event.finished.choices:
            if end.choice in self._choices and self._choices[end.choice].blocked:
                end.finish_reason = message_pb2.FINISH_REASON_CONTENT_FILTER
                end.stop = ""
        return event

    def _note(self, decision: decision_pb2.Decision) -> None:
        """Learn what the last event would tell, for a completion that never comes to it."""
        if decision.HasField("router"):
            self._served_model = decision.router.routed_model
        elif decision.HasField("inference"):
            self._served_model = decision.inference.model
            self._usage.input_tokens = decision.inference.input_tokens
            self._usage.cached_input_tokens = decision.inference.cached_input_tokens
