"""OpenAI's API through Envoy and the whole chain, with OpenAI's own client."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.mesh.conftest import Mesh

QUESTION: ChatCompletionMessageParam = {"role": "user", "content": "What is Catenary?"}
GREEDY: Mapping[str, Any] = {"model": "pocket", "temperature": 0}
# A schema allows any space between its tokens, and the pocket model has never enough of it.
FORMED: Mapping[str, Any] = {"extra_body": {"repetition_penalty": 10}, "max_tokens": 300}


class Service(BaseModel):
    """What an answer is to be."""

    name: Literal["catenary", "other"]
    port: Literal[8080]


class Weather(BaseModel):
    """What a tool takes."""

    city: Literal["Delft", "Leiden"]


@pytest.fixture
def client(mesh: Mesh) -> Iterator[openai.OpenAI]:
    url = f"{mesh.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60) as caller:
        yield caller


def go_on(client: openai.OpenAI, said: str, **fields: Any) -> str:
    chunks = client.chat.completions.create(
        **GREEDY,
        messages=[QUESTION, {"role": "assistant", "content": said}],
        extra_body={"continue_final_message": True, "add_generation_prompt": False},
        stream=True,
        **fields,
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_an_answer_goes_on_from_where_it_was_cut(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**GREEDY, messages=[QUESTION]).choices[0].message.content
    assert whole is not None
    for cut in range(0, len(whole), 23):
        assert go_on(client, whole[:cut]) == whole[cut:]


@pytest.mark.parametrize(
    ("turns", "fields", "param"),
    [
        (
            [QUESTION, {"role": "assistant", "content": "A"}],
            {"add_generation_prompt": True},
            "add_generation_prompt",
        ),
        ([QUESTION], {}, "messages"),
        ([QUESTION, QUESTION], {}, "messages[1].role"),
        ([QUESTION, {"role": "assistant", "content": "A"}], {"n": 2}, "n"),
        (
            [QUESTION, {"role": "assistant", "content": "A"}],
            {"response_format": {"type": "json_object"}},
            "continue_final_message",
        ),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused(
    client: openai.OpenAI,
    turns: list[ChatCompletionMessageParam],
    fields: Mapping[str, Any],
    param: str,
) -> None:
    body = {"continue_final_message": True, **fields}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**GREEDY, messages=turns, extra_body=body)
    assert caught.value.param == param


def test_it_parses_what_follows_a_schema(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(
        **GREEDY, **FORMED, messages=[QUESTION], response_format=Service
    )
    assert answer.choices[0].message.parsed is not None
    assert answer.choices[0].message.parsed.port == 8080
    with client.chat.completions.stream(
        **GREEDY, **FORMED, messages=[QUESTION], response_format=Service
    ) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.parsed == answer.choices[0].message.parsed


def test_it_parses_the_arguments_of_a_streamed_call(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        **GREEDY,
        **FORMED,
        messages=[QUESTION],
        tools=[openai.pydantic_function_tool(Weather)],
        tool_choice="required",
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        choice = stream.get_final_completion().choices[0]
    assert [event.name for event in done] == ["Weather"]
    assert isinstance(done[0].parsed_arguments, Weather)
    assert choice.finish_reason == "tool_calls"


def test_it_gathers_choices_with_their_logprobs(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        **GREEDY,
        messages=[QUESTION],
        n=2,
        logprobs=True,
        stop="gateway",
        stream_options={"include_usage": True},
    ) as stream:
        completion = stream.get_final_completion()
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert completion.usage is not None
    told = 0
    for choice in completion.choices:
        assert choice.finish_reason == "stop"
        assert choice.logprobs is not None
        tokens = choice.logprobs.content or ()
        assert "".join(token.token for token in tokens).startswith(choice.message.content or "?")
        told += len(tokens)
    assert 0 < told <= completion.usage.completion_tokens


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"model": "none"}, openai.NotFoundError, "model"),
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
        ({"best_of": 2}, openai.BadRequestError, "best_of"),
        ({"store": True}, openai.BadRequestError, "store"),
        ({"functions": [{"name": "f"}]}, openai.BadRequestError, "functions"),
        ({"max_tokens": 100_000}, openai.BadRequestError, "messages"),
    ],
)
def test_it_raises_its_own_errors(
    client: openai.OpenAI, fields: Mapping[str, Any], kind: type[openai.APIStatusError], param: str
) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**GREEDY, messages=[QUESTION], extra_body=fields)
    assert caught.value.param == param


def test_vectors_are_the_same_in_either_form(client: openai.OpenAI) -> None:
    # Unless told otherwise, the client asks for base64 and gives floats.
    (packed,) = client.embeddings.create(model="minilm", input="a").data
    (plain,) = client.embeddings.create(model="minilm", input="a", encoding_format="float").data
    assert packed.embedding == pytest.approx(plain.embedding, abs=1e-7)
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="minilm", input="a", dimensions=64)
    assert caught.value.param == "dimensions"
