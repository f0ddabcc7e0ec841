"""A tool's call as a JSON object: `{"name": …, "arguments": {…}}`.

A call begins as soon as its tool is known and its arguments begin. From there on the arguments are
told as the model writes them, JSON or not: what has been told cannot be taken back. What never gets
so far is not a call but text, whatever it looks like.
"""

from collections.abc import Container

from services.inference.parsing.json_text import string, value
from services.inference.parsing.source import Kind, Part, Reading, Source, UnexpectedError, attempt

_ARGUMENTS = frozenset({"arguments", "parameters"})
_OTHERS = frozenset({"id", "type"})


def call(source: Source, tools: Container[str], *, is_certain: bool = False) -> Reading[None]:
    """Read a call of one of the tools; where it is certainly one, it begins with its name.

    Raises:
        UnexpectedError: there is none.
    """
    name = arguments = ""
    head = (Kind.CALL, "")
    yield from source.space()
    yield from source.expect("{")
    yield from source.space()
    while not (yield from source.marker("}")):
        key = yield from _key(source)
        if key == "name":
            name = yield from string(source)
            if name not in tools:
                raise UnexpectedError
            head = (Kind.CALL, name)
            if is_certain:
                yield from source.take(*head)
                head = (Kind.ARGUMENTS, "")
        elif key in _ARGUMENTS:
            if name and (yield from source.peek()) == "{":
                yield from source.take(*head)
                yield from attempt(source, _rest(source))
                return
            arguments = yield from _held(source)
        elif key in _OTHERS:
            yield from value(source)
        else:
            raise UnexpectedError
        yield from _separator(source)
    if not name:
        raise UnexpectedError
    yield from source.take(*head)
    yield Part(Kind.ARGUMENTS, "", arguments or "{}")


def array(source: Source, tools: Container[str], *, is_certain: bool = False) -> Reading[None]:
    """Read an array of calls; where each is certainly one, it begins with its name.

    Raises:
        UnexpectedError: there is none, or one of its elements is no call.
    """
    yield from source.space()
    yield from source.expect("[")
    yield from call(source, tools, is_certain=is_certain)
    yield from source.space_of(Kind.ARGUMENTS)
    while (yield from source.marker(",")):
        yield from call(source, tools, is_certain=is_certain)
        yield from source.space_of(Kind.ARGUMENTS)
    yield from source.expect("]")
    yield from source.take(Kind.ARGUMENTS, "")


def _rest(source: Source) -> Reading[None]:
    """Read the arguments, and what the object has behind them."""
    yield from value(source, Kind.ARGUMENTS)
    yield from source.space_of(Kind.ARGUMENTS)
    yield from _separator(source)
    while not (yield from source.marker("}")):
        yield from _key(source)
        yield from value(source)
        yield from _separator(source)
    yield from source.take(Kind.ARGUMENTS, "")


def _held(source: Source) -> Reading[str]:
    """Read arguments that cannot be told yet: as an object, or as a string that holds one."""
    start = source.at
    match (yield from source.peek()):
        case '"':
            return (yield from string(source))
        case "{":
            yield from value(source)
            return source.text[start : source.at]
    raise UnexpectedError


def _key(source: Source) -> Reading[str]:
    key = yield from string(source)
    yield from source.space()
    yield from source.expect(":")
    yield from source.space()
    return key


def _separator(source: Source) -> Reading[None]:
    yield from source.space()
    if (yield from source.marker(",")):
        yield from source.space()
    elif (yield from source.peek()) != "}":
        raise UnexpectedError
