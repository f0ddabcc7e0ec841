"""Where the references of a JSON Schema lead, and what the schemas there may describe."""

from collections.abc import Mapping, Sequence
from typing import Any

ANY: frozenset[str] = frozenset({"null", "boolean", "number", "string", "array", "object"})
"""The types of JSON; an integer is a number."""

_MAX_HOPS = 16

_Node = Mapping[str, Any]


def resolved(reference: Any, root: Any) -> Any:
    """Return the schema that a `$ref` leads to, by names alone; None where there is none."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    for name in reference.split("/")[1:]:
        if not isinstance(root, dict) or not name or name not in root:
            return None
        root = root[name]
    return root if isinstance(root, dict | bool) else None


def concrete(node: Any, root: Any) -> _Node:
    """Return what a schema says in the end, behind references and an `allOf` of one."""
    for _ in range(_MAX_HOPS):
        if isinstance(node, dict) and "$ref" in node:
            node = resolved(node["$ref"], root)
        elif isinstance(node, dict) and _is_only(node.get("allOf")):
            node = node["allOf"][0]
        else:
            return node if isinstance(node, dict) else {}
    return {}


def literals(node: _Node) -> Sequence[Any] | None:
    """Return the values that a schema lists; None where it does not."""
    if "const" in node:
        return [node["const"]]
    values = node.get("enum")
    return values if isinstance(values, list) else None


def types(node: _Node) -> frozenset[str]:
    """Return all types that what a schema describes may have, and perhaps more."""
    values = literals(node)
    if values is not None:
        return frozenset(type_of(value) for value in values)
    return declared(node) or ANY


def declared(node: _Node) -> frozenset[str]:
    """Return the types that a schema declares."""
    said = node.get("type", [])
    said = said if isinstance(said, list) else [said]
    return frozenset("number" if each == "integer" else str(each) for each in said)


def type_of(value: Any) -> str:
    """Return the type of a value that JSON was read into."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
    return "array" if isinstance(value, list) else "object"


def _is_only(choices: Any) -> bool:
    return isinstance(choices, list) and len(choices) == 1
