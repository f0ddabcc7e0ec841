"""JSON as a text to inspect: its strings as they are meant, and not as they are escaped."""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s{}\[\]:,"]+')


class Value(NamedTuple):
    """A string or a number of the JSON, and where it stands."""

    start: int
    end: int
    """In the text that is inspected, without quotes."""
    raw_start: int
    raw_end: int
    """In the JSON, with them."""


def decoded(raw: str) -> tuple[str, Sequence[Value]] | None:
    """Return the JSON with its escapes resolved, and where its values stand; None if it is none."""
    if not _is_json(raw):
        return None
    pieces: list[str] = []
    values: list[Value] = []
    length = copied = 0
    for token in _TOKEN.finditer(raw):
        word = token[0]
        is_text = word[0] == '"'
        text = json.loads(word) if "\\" in word else word[is_text : len(word) - is_text]
        gap = raw[copied : token.start() + is_text]
        pieces += (gap, text)
        length += len(gap)
        values.append(Value(length, length + len(text), token.start(), token.end()))
        length += len(text)
        copied = token.end() - is_text
    pieces.append(raw[copied:])
    return "".join(pieces), values


def changed(raw: str, values: Sequence[Value], texts: Sequence[str | None]) -> str:
    """Return the JSON with other values; None leaves one as it is. A number becomes a string."""
    pieces: list[str] = []
    copied = 0
    for value, text in zip(values, texts, strict=True):
        if text is not None:
            pieces += (raw[copied : value.raw_start], _quoted(text))
            copied = value.raw_end
    pieces.append(raw[copied:])
    return "".join(pieces)


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    try:
        quoted.encode()
    except UnicodeEncodeError:
        # JSON may escape half a character, which no message can hold.
        return json.dumps(text)
    return quoted


def _is_json(raw: str) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True
