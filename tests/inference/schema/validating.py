"""Whether a value is what a JSON Schema describes: those keywords of it that we hold to."""

import re
from collections.abc import Iterator
from math import inf
from typing import Any

_TYPES = {"string": str, "object": dict, "array": list, "boolean": bool, "null": type(None)}


def is_valid(value: Any, schema: Any, root: Any) -> bool:
    """Tell whether a value fits a schema, whose references lead to places in `root`."""
    return bool(schema) if isinstance(schema, bool) else all(_checks(value, schema, root))


def _checks(value: Any, schema: Any, root: Any) -> Iterator[bool]:
    yield from _of_choices(value, schema, root)
    if "type" in schema:
        said = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        yield any(_is(value, each) for each in said)
    match value:
        case bool() | None:
            pass
        case int() | float():
            yield schema.get("minimum", -inf) <= value <= schema.get("maximum", inf)
            # A number may be too large for Python: it is infinite then.
            yield "exclusiveMinimum" not in schema or schema["exclusiveMinimum"] < value
            yield "exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"]
        case str():
            yield schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", inf)
            yield re.search(schema.get("pattern", ""), value, re.ASCII) is not None
        case dict():
            yield from _of_object(value, schema, root)
        case list():
            first = schema.get("prefixItems", [])
            yield schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", inf)
            yield from (is_valid(*each, root) for each in zip(value, first, strict=False))
            rest = schema.get("items", True)
            yield from (is_valid(each, rest, root) for each in value[len(first) :])


def _of_choices(value: Any, schema: Any, root: Any) -> Iterator[bool]:
    if "$ref" in schema:
        target = root
        for name in schema["$ref"].split("/")[1:]:
            target = target[name]
        yield is_valid(value, target, root)
    if "const" in schema:
        yield _is_same(value, schema["const"])
    if "enum" in schema:
        yield any(_is_same(value, each) for each in schema["enum"])
    yield from (is_valid(value, each, root) for each in schema.get("allOf", []))
    if "anyOf" in schema:
        yield any(is_valid(value, each, root) for each in schema["anyOf"])
    if "oneOf" in schema:
        yield sum(is_valid(value, each, root) for each in schema["oneOf"]) == 1


def _of_object(value: Any, schema: Any, root: Any) -> Iterator[bool]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield all(name in value for name in schema.get("required", []))
    for name, each in value.items():
        yield is_valid(each, properties.get(name, others), root)


def _is(value: Any, name: str) -> bool:
    if name in {"integer", "number"}:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (name == "number" or value == int(value))
    return isinstance(value, _TYPES[name])


def _is_same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
