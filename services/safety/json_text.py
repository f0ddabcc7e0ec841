"""JSON as a text to inspect: its strings as they are meant, and not as they are escaped."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from services.safety.escapes import Unescaped

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[^\s{}\[\]:,"]+')
# Of what is no JSON: strings, of which the last may not end, and what stands between them.
_LOOSE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^"]+', re.DOTALL)
_DESCRIBES = {"description", "title"}
_IS = re.compile(r'"\s*:\s*"')


class Value(NamedTuple):
    """A string or a number of the JSON, and where it stands."""

    start: int
    end: int
    """In the text that is inspected, without quotes."""
    raw_start: int
    raw_end: int
    """In the JSON, with them."""
    is_value: bool
    """It is one whole value, rather than something of what is no JSON."""


def decoded(raw: str) -> tuple[str, Sequence[Value]]:
    """Return the JSON with its escapes resolved, and where its values stand.

    Of what is no JSON the strings are read alike, and what stands between them is as good as one.
    """
    is_json = _is_json(raw)
    pieces: list[str] = []
    values: list[Value] = []
    length = copied = 0
    for token in (_TOKEN if is_json else _LOOSE).finditer(raw):
        word = token[0]
        quotes = len(word) > 1 and word[0] == word[-1] == '"'
        start, end = token.start() + quotes, token.end() - quotes
        text = _meant(raw[start:end], is_json=is_json)
        gap = raw[copied:start]
        pieces += (gap, text)
        length += len(gap)
        values.append(Value(length, length + len(text), *token.span(), is_json or quotes))
        length += len(text)
        copied = end
    pieces.append(raw[copied:])
    return "".join(pieces), values


def changed(raw: str, values: Sequence[Value], texts: Sequence[str | None]) -> str:
    """Return the JSON with other values; None leaves one as it is. A number becomes a string."""
    pieces: list[str] = []
    copied = 0
    for value, text in zip(values, texts, strict=True):
        if text is not None:
            written = _quoted(text) if value.is_value else text
            pieces += (raw[copied : value.raw_start], written)
            copied = value.raw_end
    pieces.append(raw[copied:])
    return "".join(pieces)


def descriptions(raw: str) -> Iterator[str]:
    """Give what a JSON Schema says in words."""
    text, values = decoded(raw)
    for name, value in pairwise(values):
        is_told = _IS.fullmatch(text[name.end : value.start]) is not None
        if is_told and text[name.start : name.end] in _DESCRIBES:
            yield text[value.start : value.end]


def _meant(word: str, *, is_json: bool) -> str:
    if "\\" not in word:
        return word
    return str(json.loads(f'"{word}"')) if is_json else Unescaped(word).text


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
        # A number may have more digits than Python reads.
        json.loads(raw, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True
