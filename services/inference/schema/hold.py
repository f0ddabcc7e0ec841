"""What of a JSON Schema an engine can be held to: the rest is refused by name, or left out.

XGrammar, which guides the engines, ignores what it does not know, and gets some of the rest wrong:
all bounds but a few, for example. `keywords.py` tells what holds.
"""

import json
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from services import errors
from services.inference.schema.keywords import unheld
from services.inference.schema.references import resolved

_ONE = ("additionalProperties", "unevaluatedProperties", "items", "unevaluatedItems")
_INNER_LISTS = ("prefixItems",)
_CHOICES = ("anyOf", "oneOf", "allOf")
_LISTS = ("enum", *_CHOICES)
_SHOWN_CHARS = 200


def hold(schema: Any, field: str, *, is_strict: bool) -> Any:
    """Return a schema that the engine holds to, all of it; the one that is given changes.

    It says the same, or less: a keyword that the engine cannot be held to is refused where the
    schema is strict, and else left out, for the model to follow.

    Raises:
        MeshError: INVALID_REQUEST, naming the keyword by its JSON pointer; or for a reference that
            leads nowhere, or round in a circle, and for a choice of nothing.
    """
    if not isinstance(schema, dict | bool):
        raise errors.invalid_field(field, "must be a JSON Schema")
    said = json.loads(json.dumps(schema))
    seen: dict[int, Any] = {}
    in_place = TopologicalSorter[int]()
    pending = [("", schema)]
    while pending:
        pointer, node = pending.pop()
        if not isinstance(node, dict) or id(node) in seen:
            continue
        seen[id(node)] = node
        same = list(_in_place(schema, pointer, node, field))
        in_place.add(id(node), *(id(each) for _, each in same))
        pending += [*same, *_inside(pointer, node)]
        for keyword in [each for each in _LISTS if node.get(each) == []]:
            raise errors.invalid_field(field, f"{_shown(pointer, keyword)} must not be empty")
        for keyword in unheld(node, said):
            if is_strict:
                problem = "cannot be held to, as strict demands"
                raise errors.invalid_field(field, f"{_shown(pointer, keyword)} {problem}")
    try:
        in_place.prepare()
    except CycleError:
        raise errors.invalid_field(field, "has a $ref that leads back to itself") from None
    return schema


def _in_place(root: Any, pointer: str, node: Any, field: str) -> Iterator[tuple[str, Any]]:
    """Give the schemas that say something of the same value."""
    if "$ref" in node:
        target = resolved(node["$ref"], root)
        if target is None:
            problem = "must lead to a schema inside this one"
            raise errors.invalid_field(field, f"{_shown(pointer, '$ref')} {problem}")
        yield str(node["$ref"]).removeprefix("#"), target
    for keyword in _CHOICES:
        yield from _listed(pointer, node, keyword)


def _inside(pointer: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Give the schemas of what is inside a value."""
    properties = node.get("properties")
    if isinstance(properties, dict):
        for name, each in properties.items():
            yield f"{pointer}/properties/{_escaped(name)}", each
    for keyword in _ONE:
        yield f"{pointer}/{keyword}", node.get(keyword)
    for keyword in _INNER_LISTS:
        yield from _listed(pointer, node, keyword)


def _listed(pointer: str, node: Any, keyword: str) -> Iterator[tuple[str, Any]]:
    choices = node.get(keyword)
    for index, each in enumerate(choices if isinstance(choices, list) else []):
        yield f"{pointer}/{keyword}/{index}", each


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _shown(pointer: str, keyword: str) -> str:
    whole = f"{pointer}/{keyword}"
    return whole if len(whole) <= _SHOWN_CHARS else f"…{whole[-_SHOWN_CHARS:]}"
