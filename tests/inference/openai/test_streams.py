"""The shapes in which servers stream a completion."""

import asyncio
from typing import Any

import pytest

from catenary.v1 import generation_pb2 as pb
from tests.fakes import CONTENT_FILTER, LENGTH, STOP
from tests.inference.asking import ask, asking
from tests.inference.openai.conftest import Connect
from tests.inference.openai.server import (
    DONE,
    HEAD,
    LAST_CHUNK,
    FakeServer,
    chunk,
    event,
    piece,
    said,
    stream,
    usage,
)


async def test_a_completion(server: FakeServer, connect: Connect) -> None:
    last = usage(8, 2)
    last["usage"] |= {
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    server.will(
        *stream(
            chunk({"role": "assistant", "content": None}),
            chunk({"content": "Hello"}),
            chunk({"content": " there"}, usage=None),
            chunk(finish_reason="length"),
            last,
        )
    )
    answer = await ask(connect(), asking())
    kinds = [given.WhichOneof("event") for given in answer.events]
    assert kinds == ["started", "delta", "delta", "decision", "finished"]
    assert answer.events[0].started == pb.Started(request_id="r1", model="pocket")
    assert answer.text() == "Hello there"
    assert [delta.output_tokens for delta in answer.deltas] == [1, 1]
    (choice,) = answer.finished.choices
    assert (choice.choice, choice.finish_reason) == (0, LENGTH)
    assert answer.finished.served_model == "pocket"
    told = answer.finished.usage
    assert (told.input_tokens, told.output_tokens) == (8, 2)
    assert (told.cached_input_tokens, told.reasoning_tokens) == (5, 1)
    decision = answer.events[-2].decision.inference
    assert (decision.model, decision.engine) == ("pocket", "openai")
    assert (decision.input_tokens, decision.output_tokens) == (8, 2)
    assert decision.time_to_first_token.ToNanoseconds() > 0


async def test_without_usage_the_tokens_seen_are_counted(
    server: FakeServer, connect: Connect
) -> None:
    server.will(*stream(chunk({"content": "a"}), chunk({"content": "b"}, "stop")))
    told = (await ask(connect(), asking())).finished.usage
    assert (told.input_tokens, told.output_tokens) == (0, 2)


async def test_usage_in_every_chunk_is_the_usage_so_far(
    server: FakeServer, connect: Connect
) -> None:
    first, second = chunk({"content": "a"}), chunk({"content": "b"}, "stop")
    server.will(*stream(first | usage(5, 1) | first, second | {"usage": usage(5, 2)["usage"]}))
    told = (await ask(connect(), asking())).finished.usage
    assert (told.input_tokens, told.output_tokens) == (5, 2)


async def test_tokens_without_a_chunk_of_their_own_are_told_at_the_end(
    server: FakeServer, connect: Connect
) -> None:
    server.will(*stream(chunk({"content": "a"}), chunk({}, "stop"), usage(5, 3)))
    answer = await ask(connect(), asking())
    assert [(delta.text, delta.output_tokens) for delta in answer.deltas] == [("a", 1), ("", 2)]


async def test_keep_alives_and_other_fields_are_passed_over(
    server: FakeServer, connect: Connect
) -> None:
    server.will(
        HEAD,
        piece(
            b": ping\n\n: ping\r\n\r\nretry: 3\nevent: message\n" + event(chunk({"content": "a"}))
        ),
        piece(b":\n\n"),
        piece(event(chunk(finish_reason="stop")) + DONE),
        LAST_CHUNK,
    )
    assert (await ask(connect(), asking())).text() == "a"


async def test_a_stream_may_end_without_done(server: FakeServer, connect: Connect) -> None:
    server.will(*stream(chunk({"content": "a"}), chunk(finish_reason="stop"), done=False))
    assert (await ask(connect(), asking())).text() == "a"


async def test_done_ends_choices_that_tell_no_reason(server: FakeServer, connect: Connect) -> None:
    server.will(*stream(chunk({"content": "a"}), {"choices": [{"delta": {"content": "b"}}]}))
    answer = await ask(connect(), asking())
    assert answer.text() == "ab"
    assert answer.finished.choices[0].finish_reason == STOP


async def test_nothing_is_waited_for_after_done(server: FakeServer, connect: Connect) -> None:
    server.will(*said("a")[:-1], asyncio.Event())
    assert (await ask(connect(), asking())).text() == "a"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_thoughts(server: FakeServer, connect: Connect, field: str) -> None:
    server.will(
        *stream(chunk({field: "Hm"}), chunk({field: "m."}), chunk({"content": "Yes"}, "stop"))
    )
    answer = await ask(connect(), asking())
    assert "".join(delta.reasoning for delta in answer.deltas) == "Hmm."
    assert answer.text() == "Yes"


async def test_a_thought_that_is_given_under_both_names_is_given_once(
    server: FakeServer, connect: Connect
) -> None:
    server.will(*stream(chunk({"reasoning_content": "Hm", "reasoning": "Hm"}), chunk({}, "stop")))
    answer = await ask(connect(), asking())
    assert [delta.reasoning for delta in answer.deltas] == ["Hm"]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", STOP),
        ("eos_token", STOP),
        ("stop_sequence", STOP),
        ("a word of tomorrow", STOP),
        ("length", LENGTH),
        ("content_filter", CONTENT_FILTER),
    ],
)
async def test_reasons(server: FakeServer, connect: Connect, word: str, reason: int) -> None:
    server.will(*stream(chunk({"content": "a"}, word)))
    assert (await ask(connect(), asking())).finished.choices[0].finish_reason == reason


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
async def test_the_stop_text_that_matched(server: FakeServer, connect: Connect, field: str) -> None:
    matched: dict[str, Any] = {field: "END"}
    server.will(*stream(chunk({"content": "a"}, "stop", **matched)))
    answer = await ask(connect("vllm"), asking(stop=["END"]))
    assert answer.finished.choices[0].stop == "END"


@pytest.mark.parametrize("given", [2, [2, 3], None])
async def test_a_token_that_matched_is_no_stop_text(
    server: FakeServer, connect: Connect, given: Any
) -> None:
    server.will(*stream(chunk({"content": "a"}, "stop", matched_stop=given)))
    answer = await ask(connect("sglang"), asking(stop=["END"]))
    assert not answer.finished.choices[0].stop


@pytest.mark.parametrize("kind", ["tgi", "openvino", "transformers"])
async def test_stop_texts_that_the_server_leaves_in_are_cut(
    server: FakeServer, connect: Connect, kind: str
) -> None:
    server.will(
        *stream(
            chunk({"content": "one E"}), chunk({"content": "N"}), chunk({"content": "D"}, "stop")
        )
    )
    answer = await ask(connect(kind), asking(stop=["END"]))
    assert answer.text() == "one "
    assert answer.finished.choices[0].stop == "END"
    assert answer.finished.usage.output_tokens == 3


async def test_what_was_no_stop_text_after_all_is_given(
    server: FakeServer, connect: Connect
) -> None:
    server.will(*stream(chunk({"content": "one E"}), chunk({"content": "N"}, "length")))
    assert (await ask(connect("tgi"), asking(stop=["END"]))).text() == "one EN"


async def test_several_choices(server: FakeServer, connect: Connect) -> None:
    server.will(
        *stream(
            chunk({"content": "b"}, index=1),
            chunk({"content": "a"}),
            chunk({}, "length", index=1),
            chunk({}, "stop"),
        )
    )
    answer = await ask(connect(), asking(n=2))
    assert (answer.text(0), answer.text(1)) == ("a", "b")
    ends = [(choice.choice, choice.finish_reason) for choice in answer.finished.choices]
    assert ends == [(0, STOP), (1, LENGTH)]


async def test_usage_of_each_choice_is_added_up_where_the_server_tells_it_so(
    server: FakeServer, connect: Connect
) -> None:
    both = (chunk({"content": "a"}, "stop", index=index) for index in (0, 1))
    server.will(*stream(*both, usage(8, 3), usage(8, 4)))
    told = (await ask(connect("llama_cpp"), asking(n=2))).finished.usage
    assert (told.input_tokens, told.output_tokens) == (8, 7)


async def test_log_probabilities(server: FakeServer, connect: Connect) -> None:
    entry = {"token": "\u00e9", "bytes": [195, 169], "logprob": -0.5}
    half = {"token": "\ufffd", "bytes": [195], "logprob": -1.0}
    unknown = {"token": "\ufffd", "bytes": None, "logprob": -2.0, "top_logprobs": None}
    whole = {"token": "ok", "logprob": -3.0, "top_logprobs": [entry, half]}
    content = [entry, half, unknown, whole]
    server.will(*stream(chunk({"content": "x"}, "stop", logprobs={"content": content})))
    (delta,) = (await ask(connect(), asking(logprobs=1))).deltas
    tokens = [(token.token, token.token_bytes, token.logprob) for token in delta.logprobs]
    assert tokens == [
        ("\u00e9", b"\xc3\xa9", -0.5),
        ("", b"\xc3", -1.0),
        ("", b"", -2.0),
        ("ok", b"ok", -3.0),
    ]
    assert [len(token.top) for token in delta.logprobs] == [0, 0, 0, 1]
    assert delta.output_tokens == 4


async def test_log_probabilities_that_nobody_asked_for_stay_here(
    server: FakeServer, connect: Connect
) -> None:
    content = [{"token": "x", "logprob": -0.5}]
    server.will(*stream(chunk({"content": "x"}, "stop", logprobs={"content": content})))
    (delta,) = (await ask(connect(), asking())).deltas
    assert not delta.logprobs
