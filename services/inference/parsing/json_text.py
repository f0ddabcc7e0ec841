"""JSON as it comes in: where a string or a value ends. What is inside is not looked into."""

import json
import re

from services.inference.parsing.source import Kind, Reading, Source, UnexpectedError

_IN_STRING = re.compile(r'["\\]')
_OUTSIDE = re.compile(r'["{}\[\]]')


def string(source: Source) -> Reading[str]:
    """Read a string, and return its value.

    Raises:
        UnexpectedError: there is none.
    """
    start = source.at
    if (yield from source.peek()) != '"':
        raise UnexpectedError
    yield from value(source)
    try:
        return str(json.loads(source.text[start : source.at]))
    except ValueError:
        raise UnexpectedError from None


def value(source: Source, kind: Kind | None = None) -> Reading[None]:
    """Read a value; with a kind, tell it as it comes in.

    Raises:
        UnexpectedError: the text ends before the value does.
    """
    if (yield from source.peek()) in {'"', "{", "["}:
        yield from _enclosed(source, kind)
    else:
        while (yield from source.peek()).isalnum() or (yield from source.peek()) in {*"+-."}:
            source.at += 1


def _enclosed(source: Source, kind: Kind | None) -> Reading[None]:
    depth, in_string = 0, False
    while True:
        if kind is not None and source.at == len(source.text):
            yield from source.take(kind)
        if not (yield from source.more()):
            raise UnexpectedError
        found = (_IN_STRING if in_string else _OUTSIDE).search(source.text, source.at)
        source.at = found.end() if found else len(source.text)
        match found and found[0]:
            case '"':
                in_string = not in_string
            case "\\":
                source.at += yield from source.more()
            case "{" | "[":
                depth += 1
            case "}" | "]":
                depth -= 1
        if found and depth == 0 and not in_string:
            break
    if kind is not None:
        yield from source.take(kind)
