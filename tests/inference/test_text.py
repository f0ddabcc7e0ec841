"""From an engine's text to events: thoughts, calls, choices, log probabilities, counts."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from infra.engine.vocabulary import Vocabulary
from services import errors
from services.errors import MeshError
from services.inference.engine import Piece
from services.inference.features import Feature
from tests.inference.asking import Answer, ask, asking
from tests.inference.scripted import backend, said
from tests.inference.templates import LLAMA3, MISTRAL, QWEN, QWEN_THINKING, model_folder
from tests.inference.triton import POCKET

STOP = message_pb2.FINISH_REASON_STOP
LENGTH = message_pb2.FINISH_REASON_LENGTH
TOOL_CALLS = message_pb2.FINISH_REASON_TOOL_CALLS
SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}}'
POCKET_TEMPLATE = (POCKET / "chat_template.jinja").read_text()
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Delft"}}\n</tool_call>'


def with_tools(
    mode: message_pb2.ToolChoice.Mode.ValueType = message_pb2.ToolChoice.MODE_AUTO,
) -> pb.GenerateRequest:
    request = asking("Is it raining?")
    request.tools.add(name="weather", description="Looks out.", parameters_schema=SCHEMA)
    request.tools.add(name="clock")
    request.tool_choice.mode = mode
    if mode == message_pb2.ToolChoice.MODE_NAMED:
        request.tool_choice.name = "weather"
    return request


def reasoning(answer: Answer) -> str:
    return "".join(delta.reasoning for delta in answer.deltas)


def calls(answer: Answer, choice: int = 0) -> list[tuple[str, str]]:
    """Names and arguments, as a client puts them together."""
    whole: list[tuple[str, str]] = []
    for delta in answer.deltas:
        for piece in delta.tool_calls if delta.choice == choice else ():
            if piece.id:
                assert piece.id.startswith("call_")
                assert piece.index == len(whole)
                whole.append((piece.name, ""))
            assert piece.index == len(whole) - 1
            name, arguments = whole[-1]
            whole[-1] = (name, arguments + piece.arguments)
    return whole


async def refused(
    tmp_path: Path, template: str, request: pb.GenerateRequest, *lacking: Feature
) -> MeshError:
    link, engine = backend(tmp_path, template, [], dict.fromkeys(lacking, "the engine cannot"))
    with pytest.raises(MeshError) as caught:
        await ask(link, request)
    assert not engine.requests
    return caught.value


async def test_thoughts_and_the_answer(tmp_path: Path) -> None:
    link, engine = backend(
        tmp_path, QWEN_THINKING, said("Rain", "? Yes.", "\n</th", "ink>\n\nIt", " is.")
    )
    answer = await ask(link, asking())
    assert engine.requests[0].prompt.endswith("<|im_start|>assistant\n<think>\n")
    assert (reasoning(answer), answer.text()) == ("Rain? Yes.\n", "It is.")
    usage = answer.finished.usage
    assert usage.output_tokens == sum(delta.output_tokens for delta in answer.deltas) == 5
    assert usage.reasoning_tokens == 4
    assert answer.finished.choices[0].finish_reason == STOP


async def test_thoughts_without_an_end_are_all_there_is(tmp_path: Path) -> None:
    link, _ = backend(tmp_path, QWEN, said("<think>", "Rain", "?", finish="length"))
    answer = await ask(link, asking())
    assert (reasoning(answer), answer.text()) == ("Rain?", "")
    assert answer.finished.usage.reasoning_tokens == 3
    assert answer.finished.choices[0].finish_reason == LENGTH


async def test_calls_are_told_as_they_come(tmp_path: Path) -> None:
    pieces = ("I look.\n", *CALL.partition('"Del')[:2], *CALL.partition('"Del')[2:], "\n", CALL)
    link, engine = backend(tmp_path, QWEN, said(*pieces))
    answer = await ask(link, with_tools())
    assert answer.text() == "I look.\n"
    assert calls(answer) == [("weather", '{"city": "Delft"}')] * 2
    first = next(piece for delta in answer.deltas for piece in delta.tool_calls)
    assert (first.name, first.arguments) == ("weather", '{"city": ')
    assert answer.finished.choices[0].finish_reason == TOOL_CALLS
    assert len({p.id for d in answer.deltas for p in d.tool_calls if p.id}) == 2
    described = {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Looks out.",
            "parameters": json.loads(SCHEMA),
        },
    }
    assert json.dumps(described) in engine.requests[0].prompt


async def test_what_follows_the_only_call_is_not_told(tmp_path: Path) -> None:
    link, engine = backend(tmp_path, QWEN, said(CALL, "\n", CALL, "more", "and more"))
    request = with_tools()
    request.parallel_tool_calls = False
    answer = await ask(link, request)
    assert calls(answer) == [("weather", '{"city": "Delft"}')]
    assert answer.finished.choices[0].finish_reason == TOOL_CALLS
    assert engine.given == 3
    counts = sum(delta.output_tokens for delta in answer.deltas)
    assert answer.finished.usage.output_tokens == counts == 3


async def test_each_choice_is_read_by_itself(tmp_path: Path) -> None:
    first, second = said(CALL[:20], CALL[20:]), said("<tool", "_box>", choice=1)
    link, _ = backend(
        tmp_path, QWEN, [first[0], second[0], first[1], second[1], *first[2:], second[2]]
    )
    request = with_tools()
    request.sampling.n = 2
    answer = await ask(link, request)
    assert calls(answer) == [("weather", '{"city": "Delft"}')]
    assert calls(answer, 1) == []
    assert [answer.text(0), answer.text(1)] == ["", "<tool_box>"]
    assert [end.finish_reason for end in answer.finished.choices] == [TOOL_CALLS, STOP]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (QWEN, CALL),
        (LLAMA3, '{"name": "weather", "parameters": {"city": "Delft"}}'),
        (MISTRAL, '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Delft"}}]'),
    ],
)
async def test_the_template_tells_the_form_of_calls(
    tmp_path: Path, template: str, text: str
) -> None:
    link, engine = backend(tmp_path, template, said(text))
    answer = await ask(link, with_tools())
    assert calls(answer) == [("weather", '{"city": "Delft"}')]
    assert answer.text() == ""
    assert "Looks out." in engine.requests[0].prompt


async def test_a_stop_text_in_the_midst_of_a_call_ends_it(tmp_path: Path) -> None:
    script = [Piece(CALL[:50], 9), Piece(finish_reason="stop", matched_stop="ft")]
    link, _ = backend(tmp_path, QWEN, script)
    answer = await ask(link, with_tools())
    assert calls(answer) == [("weather", '{"cit')]
    assert answer.finished.choices[0].finish_reason == STOP
    assert answer.finished.choices[0].stop == "ft"


async def test_half_a_marker_at_the_end_is_text(tmp_path: Path) -> None:
    link, _ = backend(tmp_path, QWEN, said("Then <tool_c", finish="length"))
    answer = await ask(link, with_tools())
    assert answer.text() == "Then <tool_c"
    assert answer.finished.choices[0].finish_reason == LENGTH


async def test_tools_that_may_not_be_called_are_not_shown(tmp_path: Path) -> None:
    link, engine = backend(tmp_path, QWEN, said(CALL))
    answer = await ask(link, with_tools(message_pb2.ToolChoice.MODE_NONE))
    assert answer.text() == CALL
    assert "weather" not in engine.requests[0].prompt


async def test_the_log_probabilities_are_those_of_the_text(tmp_path: Path) -> None:
    def token(text: str) -> pb.TokenLogprob:
        return pb.TokenLogprob(token=text, token_bytes=text.encode(), logprob=-1)

    texts = ["<think>", "Hm", "</think>", "It", " is", "<tool_call>", CALL[11:]]
    pieces = [
        Piece("".join(texts[:4]), 4, logprobs=[token(text) for text in texts[:4]]),
        *(Piece(text, 1, logprobs=[token(text)]) for text in texts[4:]),
    ]
    link, _ = backend(tmp_path, QWEN, [*pieces, Piece(finish_reason="stop")])
    request = with_tools()
    request.sampling.logprobs = 0
    answer = await ask(link, request)
    entries = [entry.token for delta in answer.deltas for entry in delta.logprobs]
    assert entries == ["It", " is"]
    assert answer.text() == "It is"


async def test_the_one_tool_that_must_be_called(tmp_path: Path) -> None:
    link, engine = backend(tmp_path, QWEN_THINKING, said('{"city"', ': "Delft"}'))
    answer = await ask(link, with_tools(message_pb2.ToolChoice.MODE_NAMED))
    assert calls(answer) == [("weather", '{"city": "Delft"}')]
    assert answer.finished.choices[0].finish_reason == TOOL_CALLS
    asked = engine.requests[0]
    assert asked.generation.json_schema == SCHEMA
    # It is held to the form from the first token on: there is no place for thoughts.
    assert asked.prompt.endswith("<think>\n\n</think>\n\n")


async def test_some_tool_must_be_called(tmp_path: Path) -> None:
    text = '[{"name": "clock", "arguments": {}}, {"name": "weather", "arguments": {"city": "A"}}]'
    link, engine = backend(tmp_path, POCKET_TEMPLATE, said(*text))
    request = with_tools(message_pb2.ToolChoice.MODE_REQUIRED)
    answer = await ask(link, request)
    assert calls(answer) == [("clock", "{}"), ("weather", '{"city": "A"}')]
    request.parallel_tool_calls = False
    await ask(link, request)
    schemas = [json.loads(asked.generation.json_schema or "") for asked in engine.requests]
    assert schemas[0]["items"] == schemas[1]["items"]
    assert "maxItems" not in schemas[0]
    assert schemas[1]["maxItems"] == 1


async def test_references_inside_a_schema_still_lead_somewhere(tmp_path: Path) -> None:
    request = with_tools(message_pb2.ToolChoice.MODE_REQUIRED)
    request.tools[0].parameters_schema = json.dumps(
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}}
    )
    link, engine = backend(tmp_path, QWEN, said("[]"))
    await ask(link, request)
    schema = json.loads(engine.requests[0].generation.json_schema or "")
    reference = schema["$defs"]["weather"]["properties"]["a"]["$ref"]
    assert reference == "#/$defs/weather/$defs/A"


DEEP = '{"not": ' * 600 + "{}" + "}" * 600


@pytest.mark.parametrize("schema", ["{", "[]", "7", '{"type": "string"}', "[" * 9000, DEEP])
async def test_parameters_that_are_no_schema_are_refused(tmp_path: Path, schema: str) -> None:
    for mode in (message_pb2.ToolChoice.MODE_AUTO, message_pb2.ToolChoice.MODE_REQUIRED):
        request = with_tools(mode)
        request.tools[1].parameters_schema = schema
        error = await refused(tmp_path, QWEN, request)
        assert error.reason_name == "INVALID_REQUEST"
        assert error.violations[0].field == "tools[1].parameters_schema"


async def test_a_schema_that_the_engine_cannot_compile_is_blamed(tmp_path: Path) -> None:
    failure = errors.invalid_field("response_format.json_schema.schema", "does not compile")
    for mode, field in (
        (message_pb2.ToolChoice.MODE_NAMED, "tools[0].parameters_schema"),
        (message_pb2.ToolChoice.MODE_REQUIRED, "tools"),
    ):
        link, _ = backend(tmp_path, QWEN, [failure])
        with pytest.raises(MeshError) as caught:
            await ask(link, with_tools(mode))
        assert caught.value.violations[0].field == field
        assert caught.value.violations[0].description == "does not compile"


async def test_what_a_model_cannot_do_is_refused_by_name(tmp_path: Path) -> None:
    error = await refused(tmp_path, POCKET_TEMPLATE, with_tools())
    assert (error.reason_name, error.metadata["field"]) == ("UNSUPPORTED", "tools")
    forced = with_tools(message_pb2.ToolChoice.MODE_REQUIRED)
    error = await refused(tmp_path, POCKET_TEMPLATE, forced, Feature.JSON_SCHEMA)
    assert (error.reason_name, error.metadata["field"]) == ("UNSUPPORTED", "tool_choice")
    strict = with_tools()
    strict.tools[1].strict = True
    error = await refused(tmp_path, QWEN, strict, Feature.STRICT_TOOLS)
    assert (error.reason_name, error.metadata["field"]) == ("UNSUPPORTED", "tools[].strict")


async def test_two_forms_at_once_are_refused(tmp_path: Path) -> None:
    forced = with_tools(message_pb2.ToolChoice.MODE_NAMED)
    forced.response_format.regex = "a"
    error = await refused(tmp_path, QWEN, forced)
    assert (error.reason_name, error.metadata["field"]) == (
        "INVALID_REQUEST",
        "response_format.regex",
    )
    free = with_tools()
    free.response_format.json_object = True
    error = await refused(tmp_path, QWEN, free)
    assert (error.reason_name, error.metadata["field"]) == (
        "UNSUPPORTED",
        "response_format.json_object",
    )


def test_a_card_tells_what_a_model_can_do(tmp_path: Path) -> None:
    thinker, _ = backend(tmp_path, QWEN, [])
    assert thinker.capabilities == [
        *("chat", "tools", "tool_choice", "reasoning", "json_schema", "regex", "logprobs")
    ]
    lacking = dict.fromkeys((Feature.JSON_SCHEMA, Feature.LOGPROBS), "the engine cannot")
    plain, _ = backend(tmp_path, POCKET_TEMPLATE, [], lacking)
    assert plain.capabilities == ["chat", "regex"]


def test_markers_are_shown_though_they_are_special_tokens(tmp_path: Path) -> None:
    file = model_folder(tmp_path, MISTRAL) / "tokenizer.json"
    vocabulary, tokenizer = Vocabulary.read(file), Tokenizer.from_file(str(file))

    def text(token: str) -> bytes:
        (token_id,) = tokenizer.encode(token, add_special_tokens=False).ids
        return vocabulary.tokens[token_id]

    for marker in ("[TOOL_CALLS]", "<|python_tag|>", "<tool_call>", "</think>"):
        assert text(marker) == marker.encode()
    assert text("<|im_end|>") == text("[INST]") == b""
