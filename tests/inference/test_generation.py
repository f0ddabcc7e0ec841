"""The link with real Triton and a real engine: what a generation gives."""

import asyncio

import pytest

from catenary.v1 import message_pb2
from services.inference import Inference
from services.link import Link
from tests.conftest import Topology
from tests.inference.asking import ask, asking
from tests.inference.triton import Triton

STOP = message_pb2.FINISH_REASON_STOP
LENGTH = message_pb2.FINISH_REASON_LENGTH


@pytest.fixture
async def hop(link: Inference, topology: Topology) -> Link:
    return await topology.chain(terminal=link)


async def test_a_stream_has_the_grammar_and_tells_what_it_cost(hop: Link) -> None:
    answer = await ask(hop, asking())
    kinds = [event.WhichOneof("event") for event in answer.events]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["decision", "finished"]
    assert set(kinds[1:-2]) == {"delta"}
    finished = answer.finished
    assert [choice.finish_reason for choice in finished.choices] == [STOP]
    assert finished.served_model == "pocket"
    assert finished.usage.output_tokens == sum(delta.output_tokens for delta in answer.deltas) > 5
    decision = answer.events[-2].decision.inference
    assert decision.input_tokens == finished.usage.input_tokens > 5
    assert decision.output_tokens == finished.usage.output_tokens
    assert decision.engine == "openvino"
    for duration in (decision.queue_time, decision.prefill_time, decision.decode_time):
        assert 0 < duration.ToNanoseconds() < 60e9
    assert "Catenary" in answer.text()


async def test_a_limit_of_tokens_ends_it(link: Inference) -> None:
    answer = await ask(link, asking(max_output_tokens=3))
    assert answer.finished.usage.output_tokens == 3
    assert answer.finished.choices[0].finish_reason == LENGTH


async def test_greedy_is_the_same_each_time_and_alone_or_in_a_crowd(link: Inference) -> None:
    questions = [f"What is Catenary? {number}" for number in range(64)]
    alone = [
        await ask(link, asking(each, temperature=0, max_output_tokens=40)) for each in questions[:8]
    ]
    crowd = await asyncio.gather(
        *(ask(link, asking(each, temperature=0, max_output_tokens=40)) for each in questions)
    )
    assert [each.text() for each in crowd[:8]] == [each.text() for each in alone]
    assert all(each.finished.choices for each in crowd)


async def test_64_streams_at_once_differ_as_they_should(link: Inference) -> None:
    answers = await asyncio.gather(
        *(ask(link, asking(temperature=2, seed=seed, max_output_tokens=60)) for seed in range(64))
    )
    assert len({each.text() for each in answers}) > 32


async def test_a_seed_repeats_itself(link: Inference) -> None:
    drawn = [
        (await ask(link, asking(temperature=1.5, seed=seed, max_output_tokens=30))).text()
        for seed in (7, 7, 8)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


async def test_choices_stay_apart(link: Inference) -> None:
    answer = await ask(link, asking(temperature=1.5, seed=1, n=3, max_output_tokens=20))
    assert [choice.choice for choice in answer.finished.choices] == [0, 1, 2]
    alone = [
        (await ask(link, asking(temperature=1.5, seed=1 + index, max_output_tokens=20))).text()
        for index in range(3)
    ]
    assert [answer.text(index) for index in range(3)] == alone


async def test_a_stop_text_ends_it_and_is_not_part_of_it(link: Inference) -> None:
    whole = (await ask(link, asking(temperature=0))).text()
    # Half a word, so that the stop text begins and ends inside tokens.
    stop = whole[12:19]
    answer = await ask(link, asking(temperature=0, stop=["never said", stop]))
    assert answer.text() == whole[: whole.index(stop)]
    assert answer.finished.choices[0].finish_reason == STOP
    assert answer.finished.choices[0].stop == stop


async def test_every_token_has_its_log_probability(link: Inference) -> None:
    answer = await ask(link, asking(temperature=0, logprobs=0, max_output_tokens=10))
    entries = [entry for delta in answer.deltas for entry in delta.logprobs]
    assert len(entries) == 10
    assert b"".join(entry.token_bytes for entry in entries).decode() == answer.text()
    assert all(entry.logprob <= 0 for entry in entries)


async def test_a_regex_holds(link: Inference) -> None:
    request = asking(max_output_tokens=10)
    request.response_format.regex = "[0-9]{3}"
    answer = await ask(link, request)
    assert len(answer.text()) == 3
    assert answer.text().isdecimal()


async def test_a_continued_answer_goes_on_where_it_was(link: Inference) -> None:
    whole = await ask(link, asking(temperature=0))
    head = whole.deltas[0].text + whole.deltas[1].text
    request = asking(temperature=0)
    request.continuation.text = head
    rest = await ask(link, request)
    assert head + rest.text() == whole.text()


async def test_triton_s_metrics_count_the_tokens(link: Inference, triton: Triton) -> None:
    def counted() -> float:
        return triton.metric("catenary_engine_tokens_total", "narrow")

    before = counted()
    await ask(link, asking(model="narrow", max_output_tokens=7))
    async with asyncio.timeout(10):
        # The figures are published twice a second.
        while counted() < before + 7:  # noqa: ASYNC110 - metrics tell nobody
            await asyncio.sleep(0.05)
    assert counted() == before + 7
    assert 0 <= triton.metric("catenary_engine_kv_cache_usage_ratio", "narrow") <= 1
    assert triton.metric("catenary_engine_sequences_running", "narrow") == 0
