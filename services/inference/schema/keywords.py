"""Which keywords of a JSON Schema the engines' guides hold to, tried against XGrammar 0.1 and 0.2.

XGrammar looks for the first keyword of `_DECIDING` and passes over what stands beside it; what
no guide can hold to is passed over everywhere. What can be said in other words, is.
"""

from collections.abc import Iterator
from types import NoneType
from typing import Any

from services.inference.schema import bounds
from services.inference.schema.listed import can_be_written, one_of
from services.inference.schema.patterns import inside_json, of_length
from services.inference.schema.references import concrete, declared, literals, type_of, types
from services.inference.schema.unions import is_exclusive

_DECIDING = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")
_NEVER = frozenset(
    (
        *("not", "if", "then", "else", "$dynamicRef", "$recursiveRef", "multipleOf"),
        *("dependentRequired", "dependentSchemas", "dependencies", "propertyNames"),
        *("patternProperties", "minProperties", "maxProperties", "additionalItems"),
        *("uniqueItems", "contains", "minContains", "maxContains"),
    )
)
_OF_TYPE: dict[str, set[str]] = {
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "string": {"pattern", "format", "minLength", "maxLength"},
    "object": {"properties", "required", "additionalProperties", "unevaluatedProperties"},
    "array": {"items", "prefixItems", "unevaluatedItems", "minItems", "maxItems"},
}
_FURTHER = ("additionalProperties", "unevaluatedProperties")
_IMPLYING = {
    "object": {"properties", "additionalProperties", "unevaluatedProperties"},
    "array": {"items", "prefixItems", "unevaluatedItems"},
}
"""Without a type, they imply one to XGrammar."""

_ASSERTIONS = {"type", *_DECIDING}.union(*_OF_TYPE.values())

_FORMATS = frozenset(
    (
        *("date", "time", "date-time", "duration", "hostname", "ipv4", "ipv6", "uuid"),
        *("uri", "uri-reference", "uri-template"),
    )
)
_EMAIL = r"[\w+-]+(\.[\w+-]+)*@[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*(\.[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*)+"
"""XGrammar's own lets texts through that are not JSON."""


def unheld(node: dict[str, Any], root: Any) -> Iterator[str]:
    """Give each keyword of a schema that no engine can be held to, and take it out.

    `root`: the document in which the references of `node` lead somewhere. The rest is changed into
    what a guide holds to.
    """
    for keyword in [each for each in node if each in _NEVER]:
        if (keyword, node[keyword]) != ("uniqueItems", False):
            yield keyword
        del node[keyword]
    if isinstance(node.get("allOf"), list) and len(node["allOf"]) > 1:
        yield "allOf"
        del node["allOf"]
    deciding = next((keyword for keyword in _DECIDING if keyword in node), None)
    if deciding is None:
        yield from _of_types(node)
        return
    if "type" in node and _says_the_type(node, deciding, root):
        del node["type"]
    for keyword in [each for each in node if each in _ASSERTIONS and each != deciding]:
        yield keyword
        del node[keyword]
    choices = node[deciding]
    values = literals(node)
    if values is not None:
        del node[deciding]
        if all(map(can_be_written, values)):
            node |= one_of(values)
        else:
            yield deciding
    if deciding == "oneOf" and isinstance(choices, list) and not is_exclusive(choices, root):
        yield deciding


def _says_the_type(node: dict[str, Any], deciding: str, root: Any) -> bool:
    """Tell whether the keyword says no less without the type; a list is made to."""
    said = node["type"] if isinstance(node["type"], list) else [node["type"]]
    match deciding, node[deciding]:
        case "const", value:
            return any(_fits(value, each) for each in said)
        case "enum", [*values]:
            fitting = [value for value in values if any(_fits(value, each) for each in said)]
            node["enum"] = fitting or values
            return bool(fitting)
        case "$ref", _:
            choices = [{"$ref": node["$ref"]}]
        case _, [*choices]:
            pass
        case _:
            return False
    is_plain = "integer" not in said or "number" in said
    found = [types(concrete(choice, root)) for choice in choices]
    return is_plain and all(each <= declared(node) for each in found)


def _fits(value: Any, said: Any) -> bool:
    if said == "integer":
        return type_of(value) == "number" and (isinstance(value, int) or float(value).is_integer())
    return bool(type_of(value) == said)


def _of_types(node: dict[str, Any]) -> Iterator[str]:
    implied = {name for name, keywords in _IMPLYING.items() if node.keys() & keywords}
    found = declared(node) or implied
    if not found:
        for keyword in [each for each in node if each in _ASSERTIONS]:
            yield keyword
            del node[keyword]
    if "number" in found:
        yield from bounds.unheld(node)
    if "string" in found:
        yield from _of_string(node)
    if "object" in found:
        yield from _of_object(node)
    if "array" in found and not node.keys() & {"items", "prefixItems", "unevaluatedItems"}:
        node["items"] = True


def _of_string(node: dict[str, Any]) -> Iterator[str]:
    if node.get("format") == "email":
        del node["format"]
        # Of two expressions, one would be passed over.
        if node.pop("pattern", None) is not None:
            yield "pattern"
        node["pattern"] = _EMAIL
    if "format" in node and str(node["format"]) not in _FORMATS:
        yield "format"
        del node["format"]
    beside = [each for each in ("format", "pattern") if each in node]
    passed_over = [*beside[1:], *(("minLength", "maxLength") if beside else ())]
    for keyword in [each for each in passed_over if each in node]:
        yield keyword
        del node[keyword]
    if "pattern" in node:
        yield from _of_pattern(node)
    else:
        _measure(node)


def _of_pattern(node: dict[str, Any]) -> Iterator[str]:
    pattern = node.pop("pattern")
    patterns = inside_json(pattern) if isinstance(pattern, str) else ()
    if len(patterns) == 1:
        node["pattern"] = patterns[0]
    elif patterns and node["type"] == "string":
        del node["type"]
        node["anyOf"] = [{"type": "string", "pattern": each} for each in patterns]
    else:
        yield "pattern"


def _measure(node: dict[str, Any]) -> None:
    """Say how long a text is in a way that keeps control characters out."""
    least, most = node.get("minLength", 0), node.get("maxLength")
    if type(least) is not int or type(most) not in (int, NoneType) or least < 0:
        return
    if most is not None and most < least:
        return
    if least or most is not None:
        node["pattern"] = of_length(least, most)
    node.pop("minLength", None)
    node.pop("maxLength", None)


def _of_object(node: dict[str, Any]) -> Iterator[str]:
    properties, required = node.get("properties", {}), node.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return
    if any(character in '"\\' or character < " " for name in properties for character in name):
        yield "properties"
    described = [name for name in required if isinstance(name, str) and name in properties]
    if len(described) < len(required):
        yield "required"
        node["required"] = described
    # A further property may have the name of one that is described.
    further = [each for each in _FURTHER if node.get(each, False) is not False]
    if properties:
        yield from further
    elif "properties" not in node and not node.keys() & {*_FURTHER}:
        node["additionalProperties"] = True
