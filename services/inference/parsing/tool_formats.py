"""The forms in which models write calls of tools, among what they say."""

from collections.abc import Container

from services.inference.parsing.call import array, call
from services.inference.parsing.json_text import value
from services.inference.parsing.source import Kind, Reading, Source, UnexpectedError, attempt

_LLAMA3_TAG = "<|python_tag|>"
_MISTRAL_TAG = "[TOOL_CALLS]"


def hermes(source: Source, tools: Container[str]) -> Reading[None]:
    """Read `<tool_call>{"name": …, "arguments": …}</tool_call>`, anywhere and any number of it."""
    while (yield from source.until("<tool_call>", Kind.TEXT)):
        if (yield from attempt(source, call(source, tools))):
            yield from source.space_of(Kind.ARGUMENTS)
            yield from source.marker("</tool_call>")
            yield from _closed(source)


def llama3(source: Source, tools: Container[str]) -> Reading[None]:
    """Read `{"name": …, "parameters": …}` at the beginning, and after each `<|python_tag|>`.

    Several are separated by semicolons.
    """
    while True:
        while (yield from attempt(source, call(source, tools))):
            yield from source.space_of(Kind.ARGUMENTS)
            yield from source.marker(";")
            yield from _closed(source)
        if not (yield from source.until(_LLAMA3_TAG, Kind.TEXT)):
            break


def mistral(source: Source, tools: Container[str]) -> Reading[None]:
    """Read `[TOOL_CALLS]`, and behind it an array of calls, or `name[ARGS]{…}`."""
    while (yield from source.until(_MISTRAL_TAG, Kind.TEXT)):
        if (yield from attempt(source, _mistral_calls(source, tools))):
            yield from _closed(source)


def named(source: Source, tool: str) -> Reading[None]:
    """Read the arguments of the one tool that is called: nothing else can be there."""
    if (yield from source.more()):
        yield from source.take(Kind.CALL, tool)
        yield from source.space_of(Kind.ARGUMENTS)
        yield from source.rest(Kind.ARGUMENTS)


def required(source: Source, tools: Container[str]) -> Reading[None]:
    """Read an array of calls: nothing else can be there. What is cut is never text."""
    try:
        yield from array(source, tools, is_certain=True)
    except UnexpectedError:
        is_cut = source.is_whole and source.at == len(source.text)
        yield from source.take(*((Kind.ARGUMENTS, "") if is_cut else (Kind.TEXT, None)))
    yield from source.rest(Kind.TEXT)


def _mistral_calls(source: Source, tools: Container[str]) -> Reading[None]:
    yield from source.space()
    if (yield from source.peek()) == "[":
        yield from array(source, tools)
        return
    start = source.at
    while (character := (yield from source.peek())).isalnum() or character in {*"_.-"}:
        source.at += 1
    name = source.text[start : source.at]
    if name not in tools:
        raise UnexpectedError
    if (yield from source.marker("[CALL_ID]")):
        while (yield from source.peek()).isalnum():
            source.at += 1
    yield from source.marker("[ARGS]")
    yield from source.space()
    if (yield from source.peek()) != "{":
        raise UnexpectedError
    yield from source.take(Kind.CALL, name)
    yield from attempt(source, value(source, Kind.ARGUMENTS))


def _closed(source: Source) -> Reading[None]:
    """End a call: white space after it belongs to it."""
    yield from source.take(Kind.ARGUMENTS, "")
    yield from source.space_of(Kind.ARGUMENTS)
