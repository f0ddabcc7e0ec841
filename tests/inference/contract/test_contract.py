"""The generation contract: every engine keeps it, or refuses by name what it cannot do."""

import asyncio
import json
import time
from contextlib import aclosing

import pytest

from catenary.v1 import embeddings_pb2, message_pb2
from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from services.inference.features import Feature
from services.inference.prompted import PromptedBackend
from services.link import Call
from tests.inference.asking import Answer, ask, asking, generated
from tests.inference.contract.engines import Engine

pytestmark = pytest.mark.asyncio(loop_scope="module")

STOP = message_pb2.FINISH_REASON_STOP
LENGTH = message_pb2.FINISH_REASON_LENGTH
TOOL_CALLS = message_pb2.FINISH_REASON_TOOL_CALLS
ARGUMENTS = {
    "type": "object",
    "properties": {"city": {"enum": ["Delft"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TAG = json.dumps(
    {
        "type": "structural_tag",
        "format": {
            "type": "triggered_tags",
            "triggers": ["Catenary is"],
            "tags": [
                {
                    "type": "tag",
                    "begin": "Catenary is weather",
                    "content": {"type": "json_schema", "json_schema": ARGUMENTS},
                    "end": "]]",
                }
            ],
        },
    }
)
GREEDY = "Catenary is a mesh that serves large language models. Five services, called links, form"
"""How the pocket model begins when it always takes the likeliest token."""


async def ask_or_see_refused(
    engine: Engine, request: pb.GenerateRequest, *features: Feature
) -> Answer | None:
    """Ask for what the engine may not be able to do; None when it says so by name."""
    lacking = [feature for feature in features if feature in engine.refusals]
    if not lacking:
        return await ask(engine.backend, request)
    error = await failure(engine, request)
    assert error.reason_name == "UNSUPPORTED"
    fields = [feature.partition(" ")[0] for feature in lacking]
    assert error.violations[0].field.startswith(tuple(fields))
    return None


async def failure(
    engine: Engine, request: pb.GenerateRequest, call: Call | None = None
) -> MeshError:
    with pytest.raises(MeshError) as caught:
        await ask(engine.backend, request, call)
    return caught.value


def turn(role: message_pb2.Role.ValueType, text: str) -> message_pb2.Message:
    return message_pb2.Message(role=role, content=[message_pb2.ContentPart(text=text)])


async def test_a_stream_has_the_grammar_and_adds_up(engine: Engine) -> None:
    answer = await ask(engine.backend, asking(temperature=0))
    kinds = [event.WhichOneof("event") for event in answer.events]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["decision", "finished"]
    assert set(kinds[1:-2]) == {"delta"}
    finished = answer.finished
    assert [choice.finish_reason for choice in finished.choices] == [STOP]
    assert finished.served_model == "pocket"
    assert finished.usage.output_tokens == sum(delta.output_tokens for delta in answer.deltas) > 5
    decision = answer.events[-2].decision.inference
    assert decision.model == "pocket"
    assert decision.engine == engine.backend.engine
    assert decision.input_tokens == finished.usage.input_tokens > 5
    assert decision.time_to_first_token.ToNanoseconds() > 0


async def test_the_likeliest_text_is_the_same_each_time_and_everywhere(engine: Engine) -> None:
    first, second = [(await ask(engine.backend, asking(temperature=0))).text() for _ in range(2)]
    assert first == second
    assert "Catenary" in first
    if engine.has_same_weights:
        assert first.startswith(GREEDY)


async def test_turns_and_a_system_prompt_reach_the_model(engine: Engine) -> None:
    short = asking(temperature=0, max_output_tokens=2)
    long = asking("And in front?", temperature=0, max_output_tokens=2)
    del long.messages[:]
    long.messages.extend(
        [
            turn(message_pb2.ROLE_SYSTEM, "Be brief."),
            turn(message_pb2.ROLE_USER, "What is at the end of the chain?"),
            turn(message_pb2.ROLE_ASSISTANT, "Triton."),
            turn(message_pb2.ROLE_USER, "And in front?"),
        ]
    )
    counts = [
        (await ask(engine.backend, request)).finished.usage.input_tokens
        for request in (short, long)
    ]
    assert counts[1] > counts[0] + 8


async def test_counted_tokens_are_those_of_the_prompt(engine: Engine) -> None:
    request = asking("How does the cache work? " * 20, max_output_tokens=1)
    counted = await engine.backend.count_tokens(request, Call("r1"))
    answer = await ask(engine.backend, request)
    assert counted == answer.finished.usage.input_tokens > 60


async def test_a_limit_of_tokens_ends_it(engine: Engine) -> None:
    answer = await ask(engine.backend, asking(max_output_tokens=3))
    assert answer.finished.usage.output_tokens == 3
    assert answer.finished.choices[0].finish_reason == LENGTH


async def test_a_seed_repeats_itself(engine: Engine) -> None:
    drawn = []
    for seed in (7, 7, 8):
        request = asking(temperature=1.5, seed=seed, max_output_tokens=30)
        answer = await ask_or_see_refused(engine, request, Feature.SEED)
        drawn.append(answer.text() if answer else "")
    if drawn[0]:
        assert drawn[0] == drawn[1] != drawn[2]


async def test_choices_are_told_apart(engine: Engine) -> None:
    request = asking(temperature=2, n=3, max_output_tokens=40)
    answer = await ask_or_see_refused(engine, request, Feature.CHOICES)
    if answer:
        assert [choice.choice for choice in answer.finished.choices] == [0, 1, 2]
        assert len({answer.text(index) for index in range(3)}) > 1
        assert answer.finished.usage.output_tokens <= 120


async def test_a_stop_text_ends_it_and_is_not_part_of_it(engine: Engine) -> None:
    whole = (await ask(engine.backend, asking(temperature=0))).text()
    # Half a word, so that the stop text begins and ends inside tokens.
    stop = whole[12:19]
    answer = await ask(engine.backend, asking(temperature=0, stop=["never said", stop]))
    assert answer.text() == whole[: whole.index(stop)]
    assert answer.finished.choices[0].finish_reason == STOP


async def test_each_token_has_its_log_probability(engine: Engine) -> None:
    request = asking(temperature=0, logprobs=0, max_output_tokens=10)
    answer = await ask_or_see_refused(engine, request, Feature.LOGPROBS)
    if answer:
        entries = [entry for delta in answer.deltas for entry in delta.logprobs]
        assert len(entries) == 10
        assert b"".join(entry.token_bytes for entry in entries).decode() == answer.text()
        assert all(entry.logprob <= 0 for entry in entries)


async def test_a_token_s_rivals_are_less_likely(engine: Engine) -> None:
    request = asking(temperature=0, logprobs=3, max_output_tokens=5)
    answer = await ask_or_see_refused(engine, request, Feature.LOGPROBS, Feature.TOP_LOGPROBS)
    if answer:
        for delta in answer.deltas:
            for entry in delta.logprobs:
                assert len(entry.top) == 3
                assert entry.top[0].logprob >= entry.top[-1].logprob


async def test_json_follows_its_schema(engine: Engine) -> None:
    request = asking(max_output_tokens=200, temperature=0)
    request.response_format.json_schema.name = "port"
    request.response_format.json_schema.schema = json.dumps(
        {
            "type": "object",
            "properties": {"port": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["port"],
            "additionalProperties": False,
        }
    )
    answer = await ask_or_see_refused(engine, request, Feature.JSON_SCHEMA)
    if answer:
        assert 1 <= json.loads(answer.text())["port"] <= 9


async def test_a_regex_holds(engine: Engine) -> None:
    request = asking(max_output_tokens=10)
    request.response_format.regex = "[0-9]{3}"
    answer = await ask_or_see_refused(engine, request, Feature.REGEX)
    if answer:
        assert len(answer.text()) == 3
        assert answer.text().isdecimal()


async def test_a_tool_that_must_be_called_is_called(engine: Engine) -> None:
    request = asking("What is the weather in Delft?", temperature=0, max_output_tokens=200)
    request.tools.add(
        name="weather",
        parameters_schema=json.dumps(
            {
                "type": "object",
                "properties": {"city": {"enum": ["Delft", "Leiden"]}},
                "required": ["city"],
                "additionalProperties": False,
            }
        ),
    )
    request.tool_choice.mode = message_pb2.ToolChoice.MODE_NAMED
    request.tool_choice.name = "weather"
    answer = await ask_or_see_refused(engine, request, Feature.FORCED_TOOLS, Feature.JSON_SCHEMA)
    if answer:
        pieces = [piece for delta in answer.deltas for piece in delta.tool_calls]
        assert pieces[0].name == "weather"
        assert pieces[0].id
        arguments = "".join(piece.arguments for piece in pieces)
        assert json.loads(arguments)["city"] in {"Delft", "Leiden"}
        assert answer.text() == ""
        assert answer.finished.choices[0].finish_reason == TOOL_CALLS


async def test_a_strict_tool_is_called_as_its_schema_says(engine: Engine) -> None:
    request = asking(temperature=0)
    request.tools.add(name="weather", strict=True)
    if Feature.STRICT_TOOLS in engine.refusals:
        await ask_or_see_refused(engine, request, Feature.STRICT_TOOLS)
    elif isinstance(engine.backend, PromptedBackend):
        # The pocket model calls nothing by itself, so its first words stand for a call's.
        text = await generated(engine.backend, TAG)
        begun, _, rest = text.partition(" weather")
        assert begun == "Catenary is"
        arguments, end, free = rest.partition("]]")
        assert json.loads(arguments) == {"city": "Delft"}
        assert end
        assert free


async def test_a_continued_answer_goes_on_where_it_was(engine: Engine) -> None:
    whole = (await ask(engine.backend, asking(temperature=0))).text()
    cut = whole.index(" ", 20)
    request = asking(temperature=0)
    request.continuation.text = whole[:cut]
    answer = await ask_or_see_refused(engine, request, Feature.CONTINUATION)
    if answer:
        assert whole[:cut] + answer.text() == whole


async def test_what_cannot_be_done_is_refused_before_it_begins(engine: Engine) -> None:
    biased = asking(max_output_tokens=2)
    biased.sampling.logit_bias[5] = 1.0
    await ask_or_see_refused(engine, biased, Feature.LOGIT_BIAS)
    for sampling, feature in (
        ({"top_k": 5}, Feature.TOP_K),
        ({"min_p": 0.1}, Feature.MIN_P),
        ({"repetition_penalty": 1.1}, Feature.REPETITION_PENALTY),
        ({"min_output_tokens": 2}, Feature.MIN_OUTPUT_TOKENS),
    ):
        await ask_or_see_refused(engine, asking(max_output_tokens=3, **sampling), feature)


async def test_a_prompt_that_does_not_fit_is_refused(engine: Engine) -> None:
    error = await failure(engine, asking("word " * 20_000, max_output_tokens=5))
    assert error.reason_name == "CONTEXT_WINDOW_EXCEEDED"


async def test_a_model_that_writes_text_makes_no_embeddings(engine: Engine) -> None:
    request = embeddings_pb2.EmbedRequest(model="pocket", texts=["a text"])
    with pytest.raises(MeshError) as caught:
        await engine.backend.embed(request, Call("r1"))
    assert caught.value.reason_name == "UNSUPPORTED"


async def test_a_deadline_ends_it(engine: Engine) -> None:
    past = Call("r1", deadline=time.monotonic() - 1)
    assert (await failure(engine, asking(), past)).reason_name == "DEADLINE_EXCEEDED"
    endless = asking(max_output_tokens=1900, temperature=1.9, seed=3)
    soon = Call("r2", deadline=time.monotonic() + 0.2)
    try:
        await ask(engine.backend, endless, soon)
    except MeshError as error:
        assert error.reason_name == "DEADLINE_EXCEEDED"  # noqa: PT017 - it may be done in time


async def test_a_stream_that_is_left_does_no_harm(engine: Engine) -> None:
    async with aclosing(engine.backend.generate(asking(), Call("leaves"))) as events:
        assert (await anext(events)).HasField("started")
    answer = await ask(engine.backend, asking(max_output_tokens=2))
    assert answer.finished.usage.output_tokens == 2


async def test_streams_at_once_do_not_mix(engine: Engine) -> None:
    questions = ["What is Catenary?", "What is Envoy?", "What is the cache?", "What is Triton?"]
    alone = {
        each: (await ask(engine.backend, asking(each, temperature=0, max_output_tokens=20))).text()
        for each in questions
    }
    crowd = await asyncio.gather(
        *(
            ask(engine.backend, asking(each, temperature=0, max_output_tokens=20))
            for each in questions * 8
        )
    )
    assert [answer.text() for answer in crowd] == [alone[each] for each in questions * 8]
