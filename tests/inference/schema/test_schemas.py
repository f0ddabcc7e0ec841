"""JSON Schema: what the engines hold to, all of it; the rest is refused by name, or left out."""

import copy
import json
from typing import Any

import pytest

from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from services.inference.form import form
from services.inference.schema.hold import hold
from tests.inference.asking import asking

FIELD = "response_format.json_schema.schema"
OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def asking_for(schema: Any, *, is_strict: bool = True) -> pb.GenerateRequest:
    request = asking()
    request.response_format.json_schema.schema = json.dumps(schema)
    request.response_format.json_schema.strict = is_strict
    return request


def held(schema: Any, *, is_strict: bool = True) -> Any:
    wanted = form(asking_for(schema, is_strict=is_strict))
    assert wanted is not None
    return json.loads(wanted.json_schema or "")


def refused(schema: Any, *, is_strict: bool = True) -> str:
    with pytest.raises(MeshError) as caught:
        form(asking_for(schema, is_strict=is_strict))
    assert caught.value.reason_name == "INVALID_REQUEST"
    (violation,) = caught.value.violations
    assert violation.field == FIELD
    return violation.description


UNHELD = [
    ({"type": "integer", "multipleOf": 3}, "/multipleOf"),
    ({"type": "integer", "maximum": 3}, "/maximum"),
    ({"type": "integer", "minimum": 0, "maximum": 9999}, "/minimum"),
    ({"type": "number", "minimum": 0, "maximum": 1}, "/minimum"),
    ({"type": "number", "exclusiveMinimum": 0}, "/exclusiveMinimum"),
    ({"type": "string", "pattern": "(?=a)b"}, "/pattern"),
    ({"type": "string", "pattern": "(a|bc)+"}, "/pattern"),
    ({"type": "string", "pattern": 'say "a"'}, "/pattern"),
    ({"type": "string", "pattern": "a+", "maxLength": 3}, "/maxLength"),
    ({"type": "string", "pattern": "a+", "format": "date"}, "/pattern"),
    ({"type": "string", "format": "json-pointer"}, "/format"),
    ({"type": "string", "not": {"const": "a"}}, "/not"),
    ({"type": "object", "if": {}, "then": {}}, "/if"),
    ({**OBJECT, "dependentRequired": {"a": ["b"]}}, "/dependentRequired"),
    ({**OBJECT, "dependentSchemas": {"a": {}}}, "/dependentSchemas"),
    ({**OBJECT, "additionalProperties": True}, "/additionalProperties"),
    ({**OBJECT, "unevaluatedProperties": {"type": "null"}}, "/unevaluatedProperties"),
    ({"type": "object", "required": ["b"]}, "/required"),
    ({**OBJECT, "minProperties": 1}, "/minProperties"),
    ({**OBJECT, "maxProperties": 1}, "/maxProperties"),
    ({"type": "object", "propertyNames": {"pattern": "a"}}, "/propertyNames"),
    ({"type": "object", "patternProperties": {"a": {}}}, "/patternProperties"),
    ({"type": "object", "properties": {'a"b': {}}}, "/properties"),
    ({"type": "array", "items": {"type": "null"}, "uniqueItems": True}, "/uniqueItems"),
    ({"type": "array", "contains": {"const": 1}}, "/contains"),
    ({"allOf": [OBJECT, {"required": ["a"]}]}, "/allOf"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "/oneOf"),
    ({"oneOf": [OBJECT, {"type": "object"}]}, "/oneOf"),
    ({"oneOf": [{"const": 1}, {"enum": [1.0, 2]}]}, "/oneOf"),
    ({"anyOf": [OBJECT], "required": ["a"]}, "/required"),
    ({"$ref": "#/$defs/a", "minLength": 3, "$defs": {"a": {"type": "string"}}}, "/minLength"),
    ({"type": "string", "enum": [1]}, "/type"),
    ({"enum": ["a"], "minLength": 1}, "/minLength"),
    ({"minLength": 3}, "/minLength"),
    ({"$dynamicRef": "#a"}, "/$dynamicRef"),
    ({"const": 2**63}, "/const"),
    ({"const": [{"a": -(2**63) - 1}]}, "/const"),
    ({"enum": [1, 1e999]}, "/enum"),
    ({"const": 'say "größe"'}, "/const"),
    ({"const": ["größe"]}, "/const"),
    ({"const": {"größe": 1}}, "/const"),
    ({"type": "integer", "minimum": 2**63}, "/minimum"),
    ({"type": "integer", "minimum": -(2**63), "maximum": 2 - 2**63}, "/minimum"),
]


@pytest.mark.parametrize(("schema", "pointer"), UNHELD)
def test_what_no_guide_holds_to_is_refused_by_name_where_it_is_strict(
    schema: Any, pointer: str
) -> None:
    assert refused(schema).split(" ")[0] == pointer
    inside = {"type": "object", "properties": {"x/y": {"type": "array", "items": schema}}}
    if "$defs" not in schema:
        assert refused(inside).split(" ")[0] == f"/properties/x~1y/items{pointer}"
        behind = {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"type": "null"}, schema]}}}
        assert refused(behind).split(" ")[0] == f"/$defs/A/anyOf/1{pointer}"


@pytest.mark.parametrize(("schema", "pointer"), UNHELD)
def test_without_strict_it_is_left_to_the_model(schema: Any, pointer: str) -> None:
    loose = held(schema, is_strict=False)
    kept = {"/additionalProperties", "/unevaluatedProperties", "/oneOf", "/properties", "/required"}
    assert pointer in kept or pointer.removeprefix("/") not in loose


@pytest.mark.parametrize("is_strict", [True, False])
def test_references_must_lead_somewhere(*, is_strict: bool) -> None:
    for reference in ("#/nowhere", "#a", "https://example.com/a", "other.json", 7, "#/$defs/l"):
        schema = {"properties": {"a": {"$ref": reference}}, "$defs": {"l": []}}
        assert refused(schema, is_strict=is_strict).startswith("/properties/a/$ref ")
    circle: Any = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}
    assert "back to itself" in refused(circle, is_strict=is_strict)
    assert refused([1], is_strict=is_strict) == "must be a JSON Schema"


@pytest.mark.parametrize("keyword", ["enum", "anyOf", "oneOf", "allOf"])
@pytest.mark.parametrize("is_strict", [True, False])
def test_a_choice_of_nothing_is_refused(keyword: str, *, is_strict: bool) -> None:
    problem = refused({"items": {keyword: []}}, is_strict=is_strict)
    assert problem == f"/items/{keyword} must not be empty"


def test_integers_of_64_bits_are_held_to() -> None:
    values = [-(2**63), 2**53 + 1, 2**63 - 1]
    written = json.dumps(held({"enum": values}))
    assert all(str(value) in written for value in values)


def test_what_nothing_leads_to_is_not_looked_at() -> None:
    schema = {**OBJECT, "additionalProperties": False, "$defs": {"unused": {"not": {}}}}
    assert held(schema) == schema


def test_recursion_inside_values_is_held_to() -> None:
    more = {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
    schema = {"type": "object", "properties": {"next": more}, "required": ["next"]}
    assert held(schema) == schema


HELD = [
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"oneOf": [{"const": "a"}, {"enum": ["b"]}, {"type": "null"}]},
    {
        "oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
        "discriminator": {"propertyName": "kind"},
        "$defs": {
            each: {
                "type": "object",
                "properties": {"kind": {"const": each}, "more": {"$ref": "#"}},
                "required": ["kind"],
            }
            for each in "AB"
        },
    },
    {"type": ["string", "null"], "maxLength": 3},
    {"type": "string", "enum": ["a", 1]},
    {"type": "string", "anyOf": [{"enum": ["a"]}, {"type": "string", "pattern": "^b|cd$"}]},
    {"allOf": [{"$ref": "#/$defs/A"}], "title": "A", "$defs": {"A": {"type": "null"}}},
    {"type": ["integer", "null"], "minimum": 1, "maximum": 5},
    {"type": "integer", "exclusiveMinimum": -5},
    {"type": "number", "minimum": 0},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "array", "minItems": 1, "uniqueItems": False},
]


@pytest.mark.parametrize("schema", HELD)
def test_what_can_be_said_in_words_that_hold_is_not_refused(schema: Any) -> None:
    original = copy.deepcopy(schema)
    assert held(schema) == held(schema, is_strict=False)
    assert schema == original


def test_many_references_are_followed_once_each() -> None:
    # Each leads to the next twice over: followed each time, they would be 2 ** 300.
    steps = {f"s{i}": {"anyOf": [{"$ref": f"#/$defs/s{i + 1}"}] * 2} for i in range(300)}
    schema = {"$ref": "#/$defs/s0", "$defs": {**steps, "s300": {"type": "null"}}}
    assert hold(copy.deepcopy(schema), FIELD, is_strict=True) == schema


def test_a_deep_schema_is_no_failure() -> None:
    text = '{"items":' * 900 + '{"enum":["a","b"]}' + "}" * 900
    request = asking()
    request.response_format.json_schema.schema = text
    assert form(request) is not None
    request.response_format.json_schema.schema = '{"items":' * 5000 + "{}" + "}" * 5000
    with pytest.raises(MeshError):
        form(request)
