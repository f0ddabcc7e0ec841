"""Tool calls on their way down: whole, judged, and with what is the caller's put back."""

import json

import pytest
from hypothesis import given

from catenary.v1 import decision_pb2
from services import errors
from services.safety.stream.marks import mark
from services.safety.stream.tool_calls import MAX_BYTES
from tests.fakes import (
    CONTENT_FILTER,
    answer,
    finished,
    request,
    started,
    text_of,
)
from tests.safety.stream.playing import (
    NOTHING,
    _played,
    ada,
    calling,
    of,
    output,
    play,
    reasons,
    thinking,
)
from tests.safety.stream.rules import (
    BLOCK,
    REDACT,
    TABLES,
    Action,
    Table,
    Toy,
    cut_texts,
    toys,
)


@given(cut_texts(), TABLES)
def test_tool_calls_leave_whole_and_judged(
    pieces: list[str], pairs: list[tuple[int, Action]]
) -> None:
    never = (Toy("never", "never", 5), BLOCK)
    rules = Table([never, *((toys()[index], action) for index, action in pairs if index != 6)])
    written = json.dumps({"a": "".join(pieces)})
    cuts = [written[at : at + 7] for at in range(0, len(written), 7)]
    events = play([started(), *(calling(arguments=cut) for cut in cuts), finished()], rules)
    said = [call for one in of(events) for call in one.tool_calls]
    if reasons(events) == [CONTENT_FILTER]:
        assert not said
    else:
        [call] = said
        # The same is found in it as in the same text as an answer.
        quoted = f'{{"a": "{"".join(pieces)}"}}'
        assert list(json.loads(call.arguments)) == ["a"]
        assert f'{{"a": "{json.loads(call.arguments)["a"]}"}}' == text_of(
            play(answer(quoted), rules)
        )


def test_a_tool_that_is_named_like_a_finding_is_blocked() -> None:
    events = play([started(), calling(name="ABBA", arguments="{}"), finished()])
    assert reasons(events) == [CONTENT_FILTER]
    assert not any(one.tool_calls for one in of(events))


def test_a_tool_that_the_caller_named_may_be_called_though_its_name_looks_bad() -> None:
    asked = request()
    asked.tools.add(name="redacted")
    rules = Table([(Toy("r", "redacted", 8), REDACT)])
    for name, leaves in (("redacted", True), ("a_redacted", False)):
        script = [started(), calling(name=name, arguments="{}"), finished()]
        events = list(_played(output(rules, asked), script))
        assert bool([call for one in of(events) for call in one.tool_calls]) == leaves


def test_arguments_are_judged_as_what_they_mean() -> None:
    events = play(
        [
            started(),
            calling(name="f", arguments='{"a": "\\u0061b'),
            calling(arguments='ba"}'),
            finished(),
        ]
    )
    assert reasons(events) == [CONTENT_FILTER]
    redacting = Table([(Toy("r", "abba", 4), REDACT)])
    escaped = '{"a": "\\n\\u0061bba\\t", "b": 1.0}'
    events = play([started(), calling(name="f", arguments=escaped), finished()], redacting)
    [call] = [call for one in of(events) for call in one.tool_calls]
    assert call.arguments == f'{{"a": "\\n{mark("r")}\\t", "b": 1.0}}'


def test_a_finding_over_more_than_a_value_leaves_no_call() -> None:
    rules = Table([(Toy("r", 'x", "b', 6), REDACT)])
    events = play([started(), calling(name="f", arguments='["x", "b"]'), finished()], rules)
    assert reasons(events) == [CONTENT_FILTER]
    assert events[-2].decision.safety.verdict == decision_pb2.VERDICT_BLOCK


def test_calls_keep_their_order_and_names_while_pieces_interleave() -> None:
    script = [
        started(),
        calling(1, "g", '{"q":'),
        calling(0, "f", "{"),
        calling(1, "", "1}"),
        calling(0, "", "}"),
        finished(),
    ]
    [last] = of(play(script))[-1:]
    assert [(call.index, call.name, call.arguments) for call in last.tool_calls] == [
        (0, "f", "{}"),
        (1, "g", '{"q":1}'),
    ]


def test_calls_that_are_too_long_end_the_stream_with_an_error() -> None:
    filtered = output()
    for _ in range(MAX_BYTES // 1004):
        assert not list(filtered.read(calling(arguments="a" * 1000)))
    with pytest.raises(errors.MeshError) as failure:
        list(filtered.read(calling(arguments="a" * 2000)))
    assert failure.value.metadata == {"max_bytes": str(MAX_BYTES)}


def test_placeholders_turn_back_in_text_thought_and_calls() -> None:
    bits = ["Dear [PER", "SON_", "1], you are [person 1]; [PERSON_2] is not."]
    events = play(answer(*bits), NOTHING, pseudonyms=ada())
    assert text_of(events) == 'Dear Ada "A" Byron, you are Ada "A" Byron; [PERSON_2] is not.'
    events = play([started(), *map(thinking, bits), finished()], NOTHING, pseudonyms=ada())
    assert "".join(one.reasoning for one in of(events)).startswith('Dear Ada "A" Byron, ')
    arguments = '{"to": "[PERSON_1]", "n": 1.0}'
    events = play(
        [started(), calling(name="f", arguments=arguments), finished()], NOTHING, pseudonyms=ada()
    )
    [call] = [call for one in of(events) for call in one.tool_calls]
    assert call.arguments == '{"to": "Ada \\"A\\" Byron", "n": 1.0}'
