"""What may not come down: denied phrases, however a completion is cut into deltas."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from catenary.config.v1.mesh_pb2 import SafetyConfig
from catenary.v1 import decision_pb2
from catenary.v1 import generation_pb2 as pb
from services.link import Link
from services.safety import Safety
from tests.conftest import Topology
from tests.fakes import (
    CONTENT_FILTER,
    STOP,
    Scripted,
    Step,
    answer,
    call,
    delta,
    finished,
    inference_decision,
    kinds,
    request,
    started,
    text_of,
)

PIECES = st.lists(st.text("abA ", max_size=4), max_size=10)
DENY = ["abba", "b a", "aab"]


def safety(upstream: Link, deny: Sequence[str] = DENY) -> Safety:
    config = SafetyConfig(max_prompt_chars=1000, deny=deny)
    return Safety.configured(upstream, config, CollectorRegistry())


async def play(
    script: Sequence[Step], deny: Sequence[str] = DENY, n: int = 1
) -> list[pb.GenerateResponse]:
    asked = request()
    asked.sampling.n = n
    link = safety(Scripted(script), deny)
    return [event async for event in link.generate(asked, call())]


def of(events: Sequence[pb.GenerateResponse], choice: int = 0) -> list[pb.Delta]:
    deltas = [event.delta for event in events if event.HasField("delta")]
    return [delta for delta in deltas if delta.choice == choice]


def reasons(events: Sequence[pb.GenerateResponse]) -> list[int]:
    return [choice.finish_reason for choice in events[-1].finished.choices]


@given(PIECES)
async def test_the_stream_equals_the_whole_however_it_is_cut(pieces: list[str]) -> None:
    cut, whole = await play(answer(*pieces)), await play(answer("".join(pieces)))
    assert text_of(cut) == text_of(whole)
    assert reasons(cut) == reasons(whole)
    assert not any(phrase in text_of(cut).lower() for phrase in DENY)
    assert kinds(cut)[0] == "started"
    assert kinds(cut).count("finished") == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.text("ab ", max_size=4)), max_size=20))
async def test_choices_are_judged_apart(pieces: list[tuple[int, str]]) -> None:
    deltas = [delta(text, choice=choice) for choice, text in pieces]
    together = await play([started(), *deltas, finished(STOP, STOP, STOP)], n=3)
    for choice in range(3):
        alone = await play(answer(*(text for index, text in pieces if index == choice)))
        assert text_of(together, choice) == text_of(alone)
        assert reasons(together)[choice] == reasons(alone)[0]


@given(PIECES, st.sampled_from(["text", "reasoning", "arguments"]))
async def test_thought_and_tool_calls_are_judged_as_text_is(pieces: list[str], where: str) -> None:
    def made(piece: str) -> pb.GenerateResponse:
        if where == "arguments":
            call = pb.ToolCallDelta(index=1, arguments=piece)
            return pb.GenerateResponse(delta=pb.Delta(tool_calls=[call], output_tokens=1))
        return pb.GenerateResponse(delta=pb.Delta(**{where: piece, "output_tokens": 1}))  # type: ignore[arg-type]

    events = await play([started(), *map(made, pieces), finished()])
    left = "".join(
        "".join(piece.arguments for piece in one.tool_calls)
        if where == "arguments"
        else str(getattr(one, where))
        for one in of(events)
    )
    assert left == text_of(await play(answer(*pieces)))


@given(st.lists(st.tuples(st.text("ab ", max_size=4), st.integers(0, 3)), max_size=12))
async def test_no_token_is_lost(pieces: list[tuple[str, int]]) -> None:
    deltas = [delta(text, output_tokens=tokens) for text, tokens in pieces]
    events = await play([started(), *deltas, finished(output_tokens=99)])
    told = sum(one.output_tokens for one in of(events))
    if reasons(events) == [CONTENT_FILTER]:
        assert told == events[-1].finished.usage.output_tokens
    else:
        assert told == sum(tokens for _, tokens in pieces)


async def test_text_leaves_as_soon_as_it_can_no_longer_be_part_of_a_phrase() -> None:
    events = await play(answer("x a", "b", "c", "ab", "b"))
    assert [one.text for one in of(events)] == ["x ", "abc", "abb"]
    assert [one.output_tokens for one in of(events)] == [1, 2, 2]


async def test_a_phrase_ends_the_stream_and_stops_the_engine(topology: Topology) -> None:
    never = asyncio.Event()
    upstream = Scripted(
        [started(), inference_decision(input_tokens=7), delta("say ab"), delta("ba no more"), never]
    )
    link = await topology.chain(safety, terminal=upstream)
    events = [event async for event in link.generate(request(), call())]
    assert kinds(events) == ["started", "decision", "decision", "delta", "decision", "finished"]
    assert text_of(events) == "say "
    decision = events[-2].decision.safety
    assert decision.verdict == decision_pb2.VERDICT_BLOCK
    assert decision.direction == decision_pb2.DIRECTION_OUTPUT
    assert decision.findings[0].detector == "deny_list"
    end = events[-1].finished
    assert reasons(events) == [CONTENT_FILTER]
    assert (end.usage.input_tokens, end.usage.output_tokens) == (7, 2)
    assert end.served_model == "pocket"
    await asyncio.wait_for(upstream.closed.wait(), 5)


async def test_the_engine_is_stopped_before_the_rest_is_read() -> None:
    upstream = Scripted([started(), delta("abba"), asyncio.Event()])
    async with aclosing(safety(upstream).generate(request(), call())) as events:
        async for event in events:
            if event.HasField("delta"):
                assert upstream.closed.is_set()


async def test_one_blocked_choice_does_not_end_the_others() -> None:
    script = [
        started(),
        delta("no abba", choice=1),
        delta("go on", choice=0),
        delta("nothing more", choice=1),
        finished(STOP, STOP, output_tokens=9),
    ]
    events = await play(script, n=2)
    assert (text_of(events, 0), text_of(events, 1)) == ("go on", "no ")
    assert reasons(events) == [STOP, CONTENT_FILTER]
    assert events[-1].finished.usage.output_tokens == 9


def logprobs(*tokens: str) -> list[pb.TokenLogprob]:
    return [pb.TokenLogprob(token=token, token_bytes=token.encode()) for token in tokens]


async def test_log_probabilities_wait_for_their_text() -> None:
    held = delta("x a", output_tokens=2)
    held.delta.logprobs.extend(logprobs("x ", "a"))
    blocked = delta("bba")
    blocked.delta.logprobs.extend(logprobs("bba"))
    events = await play([started(), held, blocked, finished()])
    assert [token for one in of(events) for token in one.logprobs] == []
    clean = delta("c")
    clean.delta.logprobs.extend(logprobs("c"))
    events = await play([started(), held, clean, finished()])
    assert [token.token for one in of(events) for token in one.logprobs] == ["x ", "a", "c"]


async def test_a_rival_token_is_no_way_out() -> None:
    rivals = delta("x")
    rivals.delta.logprobs.extend(logprobs("x"))
    rivals.delta.logprobs[0].top.extend(logprobs("x", "ABBA", "y"))
    events = await play([started(), rivals, finished()])
    [entry] = [token for one in of(events) for token in one.logprobs]
    assert [rival.token for rival in entry.top] == ["x", "y"]


async def test_a_tool_that_is_named_like_a_phrase_is_blocked() -> None:
    named = pb.GenerateResponse(
        delta=pb.Delta(tool_calls=[pb.ToolCallDelta(id="c", name="ABBA", arguments="{}")])
    )
    events = await play([started(), named, finished()])
    assert reasons(events) == [CONTENT_FILTER]
    assert not any(one.tool_calls for one in of(events))


async def test_with_nothing_denied_events_pass_as_they_are() -> None:
    script = answer("ab", "ba")
    events = await play(script, deny=[])
    assert [event for event in events if not event.HasField("decision")] == script
    assert all(any(event is step for step in script) for event in events if event.HasField("delta"))


async def test_what_was_blocked_is_counted(registry: CollectorRegistry) -> None:
    config = SafetyConfig(max_prompt_chars=1000, deny=["abba"])
    link = Safety.configured(Scripted(answer("abba")), config, registry)
    _ = [event async for event in link.generate(request(), call())]
    labels = {"detector": "deny_list", "verdict": "block", "direction": "output"}
    assert registry.get_sample_value("catenary_safety_findings_total", labels) == 1
