"""Calls of tools in the forms of models: told as they come, and never text lost or told twice."""

import json
from collections.abc import Callable, Container
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.inference.parsing.source import Kind, Parser, Reading, Source
from services.inference.parsing.tool_formats import hermes, llama3, mistral, named, required
from tests.inference.parsing.reading import CUTS, Shown, alternating, cut, raw, shown

TOOLS = frozenset({"look", "get-time"})
FORMATS = {"hermes": hermes, "llama3": llama3, "mistral": mistral, "required": required}

Format = Callable[[Source, Container[str]], Reading[None]]


def reading(form: Format) -> Callable[[Source], Reading[None]]:
    def read(source: Source) -> Reading[None]:
        yield from form(source, TOOLS)
        yield from source.rest(Kind.TEXT)

    return read


LOOK = '{"name": "look", "arguments": {"at": "{\\"}"}}'
TIME = '{"parameters": {}, "name": "get-time"}'
ONE = [("look", '{"at": "{\\"}"}')]
BOTH = [*ONE, ("get-time", "{}")]


@pytest.mark.parametrize(
    ("form", "text", "said", "calls"),
    [
        ("hermes", f"<tool_call>\n{LOOK}\n</tool_call>", "", ONE),
        (
            "hermes",
            f"I look.\n<tool_call>{LOOK}</tool_call>\n<tool_call>{TIME}</tool_call>\n",
            "I look.\n",
            BOTH,
        ),
        ("hermes", f"<tool_call>{LOOK}", "", ONE),
        ("hermes", f"<tool_call>{LOOK[:-1]}</tool_call>So.", "So.", ONE),
        ("hermes", f"<tool_call>{LOOK}</tool_call> Done.", "Done.", ONE),
        ("hermes", '<tool_call>{"name": "look"}</tool_call>', "", [("look", "{}")]),
        (
            "hermes",
            '<tool_call>{"name": "look", "arguments": "{\\"a\\": 1}"}</tool_call>',
            "",
            [("look", '{"a": 1}')],
        ),
        (
            "hermes",
            '<tool_call>{"name": "look", "arguments": {"a": 1, oops}, "x": [1]}</tool_call>',
            "",
            [("look", '{"a": 1, oops}')],
        ),
        ("hermes", '<tool_call>{"name": "look", "arguments": {"a', "", [("look", '{"a')]),
        ("llama3", '{"name": "look", "parameters": {"a": 1}}', "", [("look", '{"a": 1}')]),
        (
            "llama3",
            f'<|python_tag|>{{"type": "function", {LOOK[1:]}; {TIME}',
            "",
            BOTH,
        ),
        ("llama3", "It is noon.", "It is noon.", []),
        ("llama3", 'Say: {"name": "look", "parameters": {}}', None, []),
        ("llama3", '{"answer": 42}', None, []),
        ("llama3", "<|python_tag|>print(1)", None, []),
        ("mistral", f"[TOOL_CALLS] [{LOOK}, {TIME}]", "", BOTH),
        ("mistral", '[TOOL_CALLS]look[ARGS]{"a": 1}', "", [("look", '{"a": 1}')]),
        (
            "mistral",
            'Well. [TOOL_CALLS]look[CALL_ID]a1B2[ARGS]{"a": 1}[TOOL_CALLS]get-time{}',
            "Well. ",
            [("look", '{"a": 1}'), ("get-time", "{}")],
        ),
        ("mistral", "[TOOL_CALLS]shout[ARGS]{}", None, []),
        ("required", f"[{LOOK}, {TIME}]", "", BOTH),
        ("required", f"[{LOOK[:40]}", "", [("look", '{"at": "{\\')]),
    ],
)
def test_calls(form: str, text: str, said: str | None, calls: list[tuple[str, str]]) -> None:
    """`said` is None where all of the text is."""
    read = reading(FORMATS[form])
    expected = Shown(text if said is None else said, "", calls)
    assert shown(read, text) == expected
    assert shown(read, *text) == expected


@pytest.mark.parametrize(
    "body",
    [
        "not JSON",
        '{"name": "shout", "arguments": {}}',
        '{"name": "look", "arguments": 7}',
        '{"name": look}',
        '{"arguments": {}}',
        '{"name": "look", "argum',
        '{"weather": "fine", "name": "look", "arguments": {}}',
        "{",
        "",
    ],
)
def test_what_is_not_a_call_is_text(body: str) -> None:
    text = f"Look: <tool_call>{body}</tool_call> So."
    assert shown(reading(hermes), text) == Shown(text)
    assert shown(reading(hermes), *text) == Shown(text)


def test_a_call_after_something_that_is_none() -> None:
    text = f"<tool_call><tool_call>{LOOK}</tool_call>"
    assert shown(reading(hermes), text) == Shown("<tool_call>", "", ONE)


def test_the_name_comes_first_and_then_the_arguments_as_they_are_written() -> None:
    parser = Parser(reading(hermes))
    head, tail = '_call>{"name": "look", "ar', 'guments": {"a'
    steps = [
        [(part.kind, part.shown) for part in parser.push(piece) if part.shown]
        for piece in ("<tool", head, tail, '": "x', '"}}</to', "ol_call>")
    ]
    assert steps == [
        [],
        [],
        [(Kind.CALL, "look"), (Kind.ARGUMENTS, '{"a')],
        [(Kind.ARGUMENTS, '": "x')],
        [(Kind.ARGUMENTS, '"}')],
        [],
    ]


def test_not_much_is_held_back() -> None:
    endless = '<tool_call>{"arguments": {"a": "' + "x" * 100_000
    parser = Parser(reading(hermes))
    longest = held = 0
    for character in endless:
        held += 1 - sum(len(part.raw) for part in parser.push(character))
        longest = max(longest, held)
    assert 16_000 < longest < 17_000
    assert held < 12


def test_white_space_without_end_is_not_held_back() -> None:
    for start in ("<tool_call>", f"<tool_call>{LOOK}", f"<tool_call>{LOOK}</tool_call>"):
        parser = Parser(reading(hermes))
        told = sum(len(part.raw) for part in parser.push(start + " " * 100_000))
        assert told > 80_000


def test_the_arguments_of_the_one_tool_that_is_called() -> None:
    read = partial(named, tool="look")
    assert shown(read, ' {"a"', ": 1}") == Shown("", "", [("look", '{"a": 1}')])
    assert shown(read, " ") == Shown("", "", [("look", "")])
    assert shown(read, "") == Shown()


def test_a_call_that_must_come_is_never_text_wherever_it_is_cut() -> None:
    read, text = reading(required), f" [ {LOOK} , {TIME.replace('{}', '{ }')} ]"
    whole = shown(read, text).calls
    for place in range(len(text)):
        got = shown(read, text[:place])
        assert got.text == ""
        assert raw(read, text[:place]) == text[:place]
        for (name, arguments), (known, expected) in zip(got.calls, whole, strict=False):
            assert name == known
            assert expected.startswith(arguments)
    assert shown(read, text[: text.index('"look"') + 6]).calls == [("look", "")]


FRAGMENTS = (
    *(
        "<tool_call>",
        "</tool_call>",
        "[TOOL_CALLS]",
        "[ARGS]",
        "<|python_tag|>",
        ";",
        "[",
        "]",
        ",",
    ),
    *(LOOK, TIME, '{"name": "look", ', '"arguments": ', "{", "}", '"', "\\", "look", "\n", " "),
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(FORMATS)), alternating(*FRAGMENTS), CUTS)
def test_it_does_not_matter_how_a_text_is_cut(form: str, text: str, cuts: list[int]) -> None:
    read = reading(FORMATS[form])
    pieces = cut(text, cuts)
    assert shown(read, *pieces) == shown(read, text)
    assert raw(read, *pieces) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), JSON)
CALLS = st.lists(st.tuples(st.sampled_from(sorted(TOOLS)), ARGUMENTS), min_size=1, max_size=4)


def written(form: str, calls: list[tuple[str, dict[str, Any]]]) -> str:
    bodies = [json.dumps({"name": name, "arguments": values}) for name, values in calls]
    match form:
        case "hermes":
            return "\n".join(f"<tool_call>\n{body}\n</tool_call>" for body in bodies)
        case "llama3":
            return "; ".join(bodies)
        case "mistral":
            return f"[TOOL_CALLS][{', '.join(bodies)}]"
    return f"[{', '.join(bodies)}]"


@settings(deadline=None)
@given(st.sampled_from(sorted(FORMATS)), CALLS, CUTS)
def test_what_was_written_is_read(
    form: str, calls: list[tuple[str, dict[str, Any]]], cuts: list[int]
) -> None:
    got = shown(reading(FORMATS[form]), *cut(written(form, calls), cuts))
    assert got.text == ""
    assert [(name, json.loads(arguments)) for name, arguments in got.calls] == calls
