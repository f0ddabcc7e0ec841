"""The stock contracts with real Triton: what a generation gives is the same as from our engine."""

import asyncio
import json

import pytest
from tokenizers import Tokenizer

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.errors import MeshError
from services.inference.prompted import PromptedBackend
from services.link import Link
from tests.inference.asking import Answer, ask, asking
from tests.inference.stock.conftest import STREAMING, Stock
from tests.inference.stock.triton import connected
from tests.inference.triton import POCKET, Triton

STOP = message_pb2.FINISH_REASON_STOP
LENGTH = message_pb2.FINISH_REASON_LENGTH
TOKENIZER = Tokenizer.from_file(str(POCKET / "tokenizer.json"))


def counted(text: str) -> int:
    return len(TOKENIZER.encode(text, add_special_tokens=False).ids)


def conversation() -> pb.GenerateRequest:
    request = asking("What is Catenary?", temperature=0, max_output_tokens=40)
    for role, text in (
        (message_pb2.ROLE_ASSISTANT, "A mesh."),
        (message_pb2.ROLE_USER, "Which link knows the models?"),
    ):
        part = message_pb2.ContentPart(text=text)
        request.messages.append(message_pb2.Message(role=role, content=[part]))
    return request


@pytest.mark.parametrize("request_", [asking(temperature=0), conversation()])
async def test_greedy_is_the_text_of_our_own_engine(
    backend: PromptedBackend, link: Link, request_: pb.GenerateRequest
) -> None:
    ours = await ask(link, request_)
    theirs = await ask(backend, request_)
    assert theirs.text() == ours.text()
    assert theirs.finished.choices == ours.finished.choices
    assert theirs.finished.usage.input_tokens == ours.finished.usage.input_tokens


async def test_a_stream_has_the_grammar_and_the_tokenizer_s_counts(
    backend: PromptedBackend, stock: Stock
) -> None:
    answer = await ask(backend, asking(temperature=0))
    kinds = [event.WhichOneof("event") for event in answer.events]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["decision", "finished"]
    assert set(kinds[1:-2]) == {"delta"}
    usage = answer.finished.usage
    # vLLM counts the token that ended it, too.
    assert usage.output_tokens == counted(answer.text()) + (stock.engine == "vllm")
    assert usage.output_tokens == sum(delta.output_tokens for delta in answer.deltas)
    is_streaming = stock in STREAMING
    assert (len([delta for delta in answer.deltas if delta.text]) > 5) == is_streaming
    decision = answer.events[-2].decision.inference
    has_timings = stock.engine != "vllm"
    assert (decision.prefill_time.ToNanoseconds() > 0) == has_timings
    assert (decision.decode_time.ToNanoseconds() > 0) == has_timings


async def test_a_limit_of_tokens_ends_it(backend: PromptedBackend) -> None:
    answer = await ask(backend, asking(temperature=0, max_output_tokens=3))
    assert answer.finished.choices[0].finish_reason == LENGTH
    assert answer.finished.usage.output_tokens == 3


async def test_a_stop_text_ends_it_and_is_not_part_of_it(backend: PromptedBackend) -> None:
    whole = (await ask(backend, asking(temperature=0))).text()
    # Half a word, so that the stop text begins and ends inside tokens.
    stop = whole[12:19]
    answer = await ask(backend, asking(temperature=0, stop=["never said", stop]))
    assert answer.text() == whole[: whole.index(stop)]
    assert answer.finished.choices[0].finish_reason == STOP


async def test_what_only_begins_like_a_stop_text_is_given(backend: PromptedBackend) -> None:
    whole = (await ask(backend, asking(temperature=0))).text()
    answer = await ask(backend, asking(temperature=0, stop=[whole[-4:] + "!", whole[8:12] + "#"]))
    assert answer.text() == whole


async def test_a_seed_repeats_itself_and_without_one_answers_differ(
    backend: PromptedBackend,
) -> None:
    async def drawn(seed: int | None = None) -> str:
        request = asking(temperature=2, seed=seed, max_output_tokens=40)
        return (await ask(backend, request)).text()

    assert await drawn(7) == await drawn(7) != await drawn(8)
    assert await drawn(0) == await drawn(0)
    assert len({await drawn() for _ in range(4)}) > 1


async def test_choices_are_drawn_each_with_its_own_seed(
    backend: PromptedBackend, stock: Stock, stock_triton: Triton
) -> None:
    answer = await ask(backend, asking(temperature=2, seed=60, n=3, max_output_tokens=40))
    assert [choice.choice for choice in answer.finished.choices] == [0, 1, 2]
    assert len({answer.text(index) for index in range(3)}) == 3
    assert 60 < answer.finished.usage.output_tokens <= 120
    seeds = [line for line in stock_triton.log.read_text().splitlines() if " seed 6" in line]
    assert {f"{stock.model}: seed {60 + index}" for index in range(3)} <= set(seeds)


async def test_many_at_once_keep_apart(backend: PromptedBackend) -> None:
    questions = [asking(f"What is link {each}?", temperature=0) for each in range(12)]
    alone = [(await ask(backend, each)).text() for each in questions[:3]]
    crowd = await asyncio.gather(*(ask(backend, each) for each in questions))
    assert [each.text() for each in crowd[:3]] == alone


async def test_a_continued_answer_goes_on_where_it_was(backend: PromptedBackend) -> None:
    whole = (await ask(backend, asking(temperature=0))).text()
    head = whole[: whole.index(" ", 20)]
    request = asking(temperature=0)
    request.continuation.text = head
    assert head + (await ask(backend, request)).text() == whole


def guided(schema: str = "", regex: str = "") -> pb.GenerateRequest:
    request = asking(temperature=0, max_output_tokens=30)
    if schema:
        request.response_format.json_schema.schema = schema
    else:
        request.response_format.regex = regex
    return request


async def test_a_guide_holds_or_is_refused_by_name(backend: PromptedBackend, stock: Stock) -> None:
    schema = '{"type": "object", "properties": {"a": {"enum": [7]}}, "required": ["a"]}'
    requests = guided(schema=schema), guided(regex="日本語é")
    if stock.engine == "llmapi":
        for request in requests:
            with pytest.raises(MeshError) as caught:
                await ask(backend, request)
            assert caught.value.reason_name == "UNSUPPORTED"
            assert caught.value.violations[0].field.startswith("response_format.")
        return
    structured, foreign = [(await ask(backend, request)).text() for request in requests]
    assert json.loads(structured) == {"a": 7}
    # The ensemble decodes each response by itself: what is cut is lost before it leaves Triton.
    assert foreign == "日本語é" or (stock.model == "ensemble" and "\ufffd" in foreign)


async def test_every_token_has_its_log_probability_or_it_is_refused(
    backend: PromptedBackend, stock: Stock, link: Link
) -> None:
    request = asking(temperature=0, logprobs=0, max_output_tokens=10)
    if stock.engine == "llmapi":
        with pytest.raises(MeshError) as caught:
            await ask(backend, request)
        assert caught.value.violations[0].field == "sampling.logprobs"
        return
    assert _logprobs(await ask(backend, request)) == _logprobs(await ask(link, request))


def _logprobs(answer: Answer) -> list[tuple[bytes, float]]:
    entries = [entry for delta in answer.deltas for entry in delta.logprobs]
    assert len(entries) == 10
    return [(entry.token_bytes, round(entry.logprob, 4)) for entry in entries]


@pytest.mark.parametrize(
    ("sampling", "engines"),
    [
        (message_pb2.Sampling(min_p=0.1), ["llmapi", "ensemble"]),
        (message_pb2.Sampling(repetition_penalty=1.1), ["llmapi"]),
        (message_pb2.Sampling(min_output_tokens=2), ["llmapi"]),
        (message_pb2.Sampling(logit_bias={5: 1.0}), ["llmapi", "ensemble", "vllm"]),
    ],
)
async def test_what_an_engine_has_no_input_for_is_refused_by_name(
    backend: PromptedBackend, stock: Stock, sampling: message_pb2.Sampling, engines: list[str]
) -> None:
    request = asking(max_output_tokens=4)
    request.sampling.MergeFrom(sampling)
    if stock.engine not in engines:
        assert (await ask(backend, request)).finished.choices
        return
    with pytest.raises(MeshError) as caught:
        await ask(backend, request)
    assert caught.value.reason_name == "UNSUPPORTED"
    (field, _), *_ = sampling.ListFields()
    assert caught.value.violations[0].field == f"sampling.{field.name}"


async def test_an_answer_that_is_given_whole_is_the_same(stock_triton: Triton, link: Link) -> None:
    """The model of 1.2 gives one response; `started` comes with it."""
    async with connected(stock_triton, "llmapi", "llmapi_1_2") as backend:
        answer = await ask(backend, asking(temperature=0))
    assert len(answer.deltas) == 1
    assert answer.text() == (await ask(link, asking(temperature=0))).text()
