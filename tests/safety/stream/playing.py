"""A completion, played through the filter of answers."""

from collections.abc import Iterator, Sequence

from catenary.v1 import generation_pb2 as pb
from services.safety.pseudonyms import Pseudonyms, Span
from services.safety.stream.output import Output
from services.safety.stream.rules import Judged, Rules
from tests.fakes import (
    request,
)
from tests.safety.stream.rules import (
    BLOCK,
    Table,
    Toy,
)

NOTHING = Table([])
DENY = Table([(Toy("deny", "(?i:abba|b a|aab)", 4), BLOCK)])


def output(
    rules: Rules = DENY,
    asked: pb.GenerateRequest | None = None,
    pseudonyms: Pseudonyms | None = None,
    held: list[int] | None = None,
    told: list[Judged] | None = None,
) -> Output:
    return Output(
        asked or request(),
        rules,
        pseudonyms or Pseudonyms(),
        ([] if told is None else told).append,
        ([] if held is None else held).append,
    )


def play(
    script: Sequence[object], rules: Rules = DENY, n: int = 1, pseudonyms: Pseudonyms | None = None
) -> list[pb.GenerateResponse]:
    asked = request()
    asked.sampling.n = n
    return list(_played(output(rules, asked, pseudonyms), script))


def _played(filtered: Output, script: Sequence[object]) -> Iterator[pb.GenerateResponse]:
    for event in script:
        assert isinstance(event, pb.GenerateResponse)
        yield from filtered.read(event)
        if filtered.blocked:
            yield filtered.cut()
            return


def ada() -> Pseudonyms:
    pseudonyms = Pseudonyms()
    pseudonyms.learn('Ada "A" Byron', [Span(0, 13, "person")])
    return pseudonyms


def of(events: Sequence[pb.GenerateResponse], choice: int = 0) -> list[pb.Delta]:
    deltas = [event.delta for event in events if event.HasField("delta")]
    return [delta for delta in deltas if delta.choice == choice]


def reasons(events: Sequence[pb.GenerateResponse]) -> list[int]:
    return [choice.finish_reason for choice in events[-1].finished.choices]


def calling(
    index: int = 0, name: str = "", arguments: str = "", **more: int
) -> pb.GenerateResponse:
    piece = pb.ToolCallDelta(index=index, name=name, arguments=arguments)
    return pb.GenerateResponse(delta=pb.Delta(tool_calls=[piece], **more))  # type: ignore[arg-type]


def thinking(text: str) -> pb.GenerateResponse:
    return pb.GenerateResponse(delta=pb.Delta(reasoning=text, output_tokens=1))
