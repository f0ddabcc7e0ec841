"""What may not come down, however a completion is cut into deltas: events, choices and tokens."""

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from catenary.v1 import decision_pb2, message_pb2
from catenary.v1 import generation_pb2 as pb
from services.safety.stream.marks import mark
from services.safety.stream.rules import Judged
from tests.fakes import (
    CONTENT_FILTER,
    STOP,
    answer,
    delta,
    finished,
    inference_decision,
    kinds,
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
    ALLOW,
    BLOCK,
    PSEUDONYMISE,
    REDACT,
    TABLES,
    Action,
    Growing,
    Table,
    Toy,
    cut_texts,
    toys,
)


@given(cut_texts(), TABLES)
def test_the_stream_equals_the_whole_however_it_is_cut(
    pieces: list[str], pairs: list[tuple[int, Action]]
) -> None:
    rules = Table([(toys()[index], action) for index, action in pairs])
    cut = play(answer(*pieces), rules, pseudonyms=ada())
    whole = play(answer("".join(pieces)), rules, pseudonyms=ada())
    assert text_of(cut) == text_of(whole)
    assert reasons(cut) == reasons(whole)
    assert kinds(cut)[0] == "started"
    assert kinds(cut).count("finished") == 1
    assert kinds(cut)[-1] == "finished"


@given(st.lists(st.tuples(st.integers(0, 2), st.text("ab ", max_size=9)), max_size=20))
def test_choices_are_judged_apart(pieces: list[tuple[int, str]]) -> None:
    deltas = [delta(text, choice=choice) for choice, text in pieces]
    together = play([started(), *deltas, finished(STOP, STOP, STOP)], n=3)
    for choice in range(3):
        alone = play(answer(*(text for index, text in pieces if index == choice)))
        assert text_of(together, choice) == text_of(alone)
        assert reasons(together)[choice] == reasons(alone)[0]


@given(cut_texts(), TABLES, st.booleans())
def test_thought_is_judged_as_text_is(
    pieces: list[str],
    pairs: list[tuple[int, Action]],
    text_follows: bool,  # noqa: FBT001
) -> None:
    rules = Table([(toys()[index], action) for index, action in pairs])
    follows = [delta("so")] if text_follows else []
    events = play([started(), *map(thinking, pieces), *follows, finished()], rules)
    assert "".join(one.reasoning for one in of(events)) == text_of(play(answer(*pieces), rules))
    first_text = next((at for at, one in enumerate(of(events)) if one.text), len(events))
    assert not any(one.reasoning for one in of(events)[first_text + 1 :])


def test_a_thought_leaves_to_its_end_before_the_text_begins() -> None:
    rules = Table([(Growing("never", "zz", 2, beginning="z"), REDACT)])
    first, *_ = of(play([started(), thinking("so"), delta("it is so "), finished()], rules))
    assert (first.reasoning, first.text) == ("so", "it is so ")


@given(st.lists(st.tuples(st.text("ab ", max_size=9), st.integers(0, 3)), max_size=12))
def test_no_token_is_lost(pieces: list[tuple[str, int]]) -> None:
    deltas = [delta(text, output_tokens=tokens) for text, tokens in pieces]
    events = play([started(), *deltas, finished(output_tokens=99)])
    told = sum(one.output_tokens for one in of(events))
    if kinds(events).count("decision") and events[-1].finished.usage.output_tokens != 99:
        assert told == events[-1].finished.usage.output_tokens
    else:
        assert told == sum(tokens for _, tokens in pieces)


def test_a_finding_ends_the_stream_with_what_was_known() -> None:
    events = play(
        [
            started(),
            inference_decision(input_tokens=7),
            delta("say something with abba"),
            delta(" now and much more of it "),
        ]
    )
    assert kinds(events) == ["started", "decision", "delta", "decision", "finished"]
    assert text_of(events) == "say something with "
    decision = events[-2].decision.safety
    assert decision.verdict == decision_pb2.VERDICT_BLOCK
    assert decision.direction == decision_pb2.DIRECTION_OUTPUT
    assert decision.profile == "toy"
    [finding] = decision.findings
    assert (finding.detector, finding.category, finding.count) == ("deny", "deny", 1)
    assert reasons(events) == [CONTENT_FILTER]
    usage = events[-1].finished.usage
    assert (usage.input_tokens, usage.output_tokens) == (7, 2)
    assert events[-1].finished.served_model == "pocket"


def test_a_finding_at_the_very_end_blocks_too() -> None:
    events = play(answer("say ab", "ba"))
    assert text_of(events) == "say "
    assert kinds(events)[-2:] == ["decision", "finished"]
    assert reasons(events) == [CONTENT_FILTER]


def test_one_blocked_choice_does_not_end_the_others() -> None:
    script = [
        started(),
        delta("no abba, none of it", choice=1),
        delta("go on", choice=0),
        delta("nothing more", choice=1),
        delta("not even this", choice=1),
        finished(STOP, STOP, output_tokens=9),
    ]
    events = play(script, n=2)
    assert (text_of(events, 0), text_of(events, 1)) == ("go on", "no ")
    assert kinds(events).count("decision") == 1
    assert reasons(events) == [STOP, CONTENT_FILTER]
    assert events[-1].finished.usage.output_tokens == 9


def test_what_was_redacted_or_allowed_is_told_before_the_end() -> None:
    rules = Table(
        [(Toy("r", "x", 1), REDACT), (Toy("a", "y", 1), ALLOW), (Toy("p", "z", 1), PSEUDONYMISE)]
    )
    told: list[Judged] = []
    events = list(_played(output(rules, told=told), answer("x y", " z x")))
    assert text_of(events) == f"{mark('r')} y {mark('p')} {mark('r')}"
    findings = {
        one.category: (one.verdict, one.count) for one in events[-2].decision.safety.findings
    }
    assert findings == {
        "r": (decision_pb2.VERDICT_REDACT, 2),
        "a": (decision_pb2.VERDICT_ALLOW, 1),
        "p": (decision_pb2.VERDICT_REDACT, 1),
    }
    assert [one.action for one in told] == [REDACT, ALLOW, REDACT, REDACT]


def logprobs(*tokens: str) -> list[pb.TokenLogprob]:
    return [pb.TokenLogprob(token=token, token_bytes=token.encode()) for token in tokens]


def telling(*tokens: str) -> pb.GenerateResponse:
    event = delta("".join(tokens), output_tokens=len(tokens))
    event.delta.logprobs.extend(logprobs(*tokens))
    return event


def tokens_of(events: Sequence[pb.GenerateResponse]) -> list[str]:
    return [token.token for one in of(events) for token in one.logprobs]


def test_log_probabilities_wait_for_their_text() -> None:
    events = play([started(), telling("xxxxxxx ", "a"), telling("bba"), finished()])
    assert (text_of(events), tokens_of(events)) == ("xxxxxxx ", ["xxxxxxx "])
    events = play([started(), telling("xxxxxxx ", "a"), telling("c"), finished()])
    assert tokens_of(events) == ["xxxxxxx ", "a", "c"]


def test_text_that_was_changed_has_no_log_probabilities() -> None:
    rules = Table([(Toy("r", "no", 2), REDACT)])
    events = play(
        [started(), telling("a", " n", "o", "ne", " [PER", "SON_1", "]", " b"), finished()],
        rules,
        pseudonyms=ada(),
    )
    assert text_of(events) == f'a {mark("r")}ne Ada "A" Byron b'
    assert tokens_of(events) == ["a", "ne", " b"]


def test_a_rival_token_is_no_way_out() -> None:
    rivals = delta("x")
    rivals.delta.logprobs.extend(logprobs("x"))
    rivals.delta.logprobs[0].top.extend(logprobs("x", "ABBA", "y"))
    [entry] = [token for one in of(play([started(), rivals, finished()])) for token in one.logprobs]
    assert [rival.token for rival in entry.top] == ["x", "y"]


def test_an_answer_that_must_be_json_stays_json() -> None:
    asked = request()
    asked.response_format.json_object = True
    filtered = output(NOTHING, asked, ada())
    events = list(_played(filtered, answer('{"to": "[PER', 'SON_1]"}')))
    assert json.loads(text_of(events)) == {"to": 'Ada "A" Byron'}


def test_what_the_caller_gave_is_not_judged_on_its_way_back() -> None:
    rules = Table([(Toy("names", "Ada|Byron|PERSON", 6), BLOCK)])
    assert text_of(play(answer("[PERSON_1]!"), rules, pseudonyms=ada())) == 'Ada "A" Byron!'


def test_a_continued_text_is_judged_with_what_stands_before_it() -> None:
    asked = request()
    asked.continuation.text = "it was ab"
    events = list(_played(output(asked=asked), answer("ba")))
    assert text_of(events) == ""
    assert reasons(events) == [CONTENT_FILTER]


def test_the_tokens_that_wait_are_measured() -> None:
    held: list[int] = []
    script = [
        started(),
        delta("something or", output_tokens=2),
        delta(" ab", output_tokens=1),
        delta("c more of it ", output_tokens=4),
        calling(name="f", arguments="{}", output_tokens=5),
    ]
    rules = Table([(Growing("deny", "abba", 4, beginning="ab{0,2}"), BLOCK)])
    list(_played(output(rules, held=held), script))
    assert held == [2, 1, 0, 5]


def test_without_rules_and_placeholders_events_pass_as_they_are() -> None:
    script = answer("ab", "ba")
    events = play(script, NOTHING)
    assert events == script
    assert all(one is other for one, other in zip(events, script, strict=True))


def test_a_choice_that_never_said_anything_still_ends() -> None:
    events = play([started(), finished()])
    assert kinds(events) == ["started", "finished"]
    assert reasons(events) == [message_pb2.FINISH_REASON_STOP]
