r"""Guides spelt so that OpenVINO's XGrammar reads right what it has itself written.

Before it compiles a grammar it writes it down, a character from U+007F to U+00FF as `\xdf`, and
reads that with every hexadecimal digit behind it: `ße` becomes U+0DFE. So the two are put into
texts of their own; in a class of characters, what is misread stands last.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_SEAM = re.compile(r"(?<=[\x7f-\xff])(?=[0-9A-Fa-f])")
_MAY_HAVE_SEAMS = re.compile(r"[\x7f-\xff]|\\u00[7-9A-Fa-f]")
_FIRST, _LAST = 0x7F, 0xFF

_CLASS = re.compile(r"(?s)\\.|\[(?P<not>\^?)(?P<members>(?:\\.|[^\]\\])*)(?P<end>\]?)")
_CHARACTER = r"\\(?:u\{[0-9A-Fa-f]+\}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)|."
_MEMBER = re.compile(rf"(?s)(?P<first>{_CHARACTER})(?:-(?P<last>{_CHARACTER}))?")
_CARET = r"\^"
_CODE = re.compile(r"\\[ux]\{?([0-9A-Fa-f]+)\}?")


def json_schema(text: str) -> str:
    """Return a JSON Schema, with the names of its properties spelt anew."""
    if not _MAY_HAVE_SEAMS.search(text):
        return text
    root = json.loads(text)
    _respell(root)
    return json.dumps(root)


def structural_tag(text: str) -> str:
    """Return a structural tag, with the schemas and plain texts inside it spelt anew."""
    return json.dumps(_format(json.loads(text))) if _MAY_HAVE_SEAMS.search(text) else text


def regex(expression: str) -> str:
    """Return an expression with the members of its classes in another order."""
    return _CLASS.sub(_ordered, expression)


def _respell(root: Any) -> None:
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        if not isinstance(node, dict):
            continue
        for keyword, value in node.items():
            match keyword, value:
                case "properties", dict():
                    node[keyword] = {_name(name): each for name, each in value.items()}
                    pending += value.values()
                case "$defs" | "definitions", dict():
                    pending += value.values()
                case "required", list():
                    node[keyword] = [
                        _name(each) if isinstance(each, str) else each for each in value
                    ]
                case "$ref", str():
                    node[keyword] = _reference(value)
                case "const" | "enum" | "default" | "examples", _:
                    pass
                case _:
                    pending.append(value)


def _name(text: str) -> str:
    # XGrammar 0.1 puts names into its grammar as they are, between quotes.
    return _SEAM.sub('" "', text)


def _reference(pointer: str) -> str:
    parts = pointer.split("/")
    return "/".join(
        _name(part) if index and parts[index - 1] == "properties" else part
        for index, part in enumerate(parts)
    )


def _format(part: Any) -> Any:
    match part:
        case {"type": "const_string", "value": str(value)} if _SEAM.search(value):
            texts = [{"type": "const_string", "value": each} for each in _SEAM.split(value)]
            return {"type": "sequence", "elements": texts}
        case {"type": "json_schema", "json_schema": schema}:
            _respell(schema)
            return part
        case dict():
            return {key: _format(value) for key, value in part.items()}
        case list():
            return [_format(each) for each in part]
    return part


def _ordered(found: re.Match[str]) -> str:
    members = list(_members(found["members"] or ""))
    carets = [text for _, text in members if text == _CARET]
    if not carets and not any(_FIRST <= last <= _LAST for last, _ in members):
        return found[0]
    if len(carets) == len(members) and not found["not"]:
        return _CARET
    # In front, XGrammar would write a caret down as if the class were of all others.
    members.sort(key=lambda each: (each[1] == _CARET, _FIRST <= each[0] <= _LAST))
    return f"[{found['not']}{''.join(text for _, text in members)}{found['end']}"


def _members(members: str) -> Iterator[tuple[int, str]]:
    """Give each member of a class with its last code point, 0 where it stands for several."""
    for member in _MEMBER.finditer(members):
        first = _code(member["first"])
        last = first if member["last"] is None else _code(member["last"])
        if first < _FIRST <= last <= _LAST:
            # What begins it could be a digit, and follow another.
            yield _FIRST - 1, f"{member['first']}-~"
            yield last, f"\x7f-{member['last']}"
        else:
            yield last, rf"\{member[0]}" if member[0] in "-^" else member[0]


def _code(text: str) -> int:
    if len(text) == 1:
        return ord(text)
    found = _CODE.fullmatch(text)
    return int(found[1], 16) if found else 0
