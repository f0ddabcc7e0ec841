"""Whatever the engine's own guide lets through is JSON, and what the strict schema describes."""

import itertools
import json
import re
import tempfile
from typing import Any

import numpy as np
import openvino
import openvino_genai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as op

from infra.engine.card import ModelCard
from infra.engine.guide_worker import structured_output, tiny_graph
from infra.engine.guides import Guide
from infra.engine.vocabulary import Vocabulary
from services.errors import MeshError
from services.inference.schema.hold import hold
from tests.inference.schema.validating import is_valid
from tests.inference.triton import POCKET

_MAX_TOKENS = 120
_ENDS = {b'"', b"}", b"]"}


class Writer:
    """Writes at random what a guide allows, with a liking for what brings it to its end."""

    def __init__(self) -> None:
        words = Vocabulary.read(POCKET / "tokenizer.json").tokens
        bias = np.zeros((1, 1, ModelCard.read(POCKET).vocabulary), np.float32)
        for token, word in enumerate(words):
            bias[0, 0, token] = 9 if word in _ENDS else 4 if len(word) == 1 else 0
            # Halves of characters at random make no text; white space has no end.
            if not word.strip() or "\ufffd" in word.decode(errors="replace"):
                bias[0, 0, token] = -99
        graph = tiny_graph(bias.shape[-1])
        (result,) = graph.get_results()
        logits = op.add(result.input_value(0), op.constant(bias))
        logits.output(0).set_names({"logits"})
        result.input(0).replace_source_output(logits.output(0))
        self._tokenizer = openvino_genai.Tokenizer(str(POCKET))
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.num_kv_blocks = 64
        with tempfile.TemporaryDirectory() as folder:
            openvino.save_model(graph, f"{folder}/openvino_model.xml")
            self._pipeline = openvino_genai.ContinuousBatchingPipeline(
                folder, self._tokenizer, scheduler, "CPU"
            )
        self._ids = itertools.count()

    def texts(self, guide: Guide, seed: int, count: int) -> list[str]:
        """Write some texts; those that do not come to an end are left out."""
        prompt = openvino.Tensor(np.array([[0]], dtype=np.int64))
        handles = []
        for step in range(count):
            config = openvino_genai.GenerationConfig()
            config.max_new_tokens = _MAX_TOKENS
            config.apply_chat_template = False
            config.do_sample = True
            config.rng_seed = seed + step
            config.structured_output_config = structured_output(guide)
            handles.append(self._pipeline.add_request(next(self._ids), prompt, config))
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        outputs = [handle.read_all()[0] for handle in handles]
        return [
            self._tokenizer.decode(output.generated_ids)
            for output in outputs
            if output.finish_reason == openvino_genai.GenerationFinishReason.STOP
        ]


@pytest.fixture(scope="module")
def writer() -> Writer:
    return Writer()


NAMES = st.one_of(
    st.sampled_from(["a", "b", "ab", "aab", "é", "Delft", "größe", "Ø€5", "日本a"]),
    st.text("éßÿ\x7f\x80€ab0", min_size=1, max_size=4),
)
VALUES = st.one_of(
    NAMES, st.integers(-30, 130), st.none(), st.booleans(), st.just({"a": [1.5]}), st.just(["é"])
)
PATTERNS = st.sampled_from(
    ["^(abb|aaa|aba)$", "[^a]{1,3}", r"^\d+(\.\d)?$", "^.{0,2}x$", r"\S@\w", "^(a|b)c|d$"]
)
EDGES = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
BOUNDS = st.sampled_from([-20, -5, 0, 1, 2, 9, 10, 99, 123])
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda values: {"enum": values}, st.lists(VALUES, min_size=1, max_size=6)),
    st.builds(lambda value: {"const": value}, VALUES),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", ["string", "null"]])},
        optional={"minLength": st.integers(0, 2), "maxLength": st.integers(2, 4)},
    ),
    st.builds(lambda pattern: {"type": "string", "pattern": pattern}, PATTERNS),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number", ["integer", "null"]])},
        optional=dict.fromkeys(
            ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), BOUNDS
        ),
    ),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"$ref": "#/$defs/A"}, True]),
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    closed = st.dictionaries(NAMES, inner, max_size=3).flatmap(
        lambda properties: st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.just(properties)},
            optional={
                "required": st.just(sorted(properties)),
                "additionalProperties": st.sampled_from([False, True]),
            },
        )
    )
    free = st.builds(lambda each: {"type": "object", "additionalProperties": each}, inner)
    return closed | free


def tagged(choices: list[Any]) -> Any:
    """Objects that differ by a property that each must have."""
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": f"k{index}"}, "value": choice},
                "required": ["kind"],
            }
            for index, choice in enumerate(choices)
        ]
    }


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        objects(inner),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={
                "minItems": st.integers(0, 1),
                "maxItems": st.integers(1, 3),
                "prefixItems": st.lists(inner, min_size=1, max_size=1),
            },
        ),
        st.builds(lambda choices: {"anyOf": choices}, several),
        st.builds(lambda choices: {"oneOf": choices}, several),
        st.builds(lambda choices: {"allOf": choices[:1]}, several),
        st.builds(tagged, several),
    )


SCHEMAS = st.recursive(LEAVES, larger, max_leaves=8)


@settings(deadline=None, max_examples=60)
@given(SCHEMAS, SCHEMAS, st.integers(0, 1000))
def test_whatever_the_guide_lets_through_is_what_the_schema_describes(
    writer: Writer, schema: Any, other: Any, seed: int
) -> None:
    whole = {"allOf": [schema], "$defs": {"A": other}}
    said = json.dumps(whole)
    try:
        held = hold(whole, "schema", is_strict=True)
    except MeshError:
        return
    for text in writer.texts(Guide(json_schema=json.dumps(held)), seed, 4):
        value = json.loads(text)
        assert is_valid(value, json.loads(said), json.loads(said)), (said, text)


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        ({"type": "integer", "minimum": 99, "maximum": 123}, "124"),
        ({"type": "string", "maxLength": 2}, '"a\tb"'),
        ({"type": "string", "pattern": "^.{2}$"}, '"a"'),
    ],
)
def test_what_is_put_otherwise_is_still_written(writer: Writer, schema: Any, wrong: str) -> None:
    held = hold(dict(schema), "schema", is_strict=True)
    texts = writer.texts(Guide(json_schema=json.dumps(held)), 1, 8)
    assert texts
    assert wrong not in texts
    assert all(is_valid(json.loads(text), schema, schema) for text in texts)


SEEDS = st.integers(0, 1000)
ACCENTED = ["größe", "Straße", "année", "numéro 1", "ÿ0f", "é1é2", "Øab"]


@pytest.mark.parametrize("text", ACCENTED)
def test_letters_with_accents_are_written_before_whatever_follows(
    writer: Writer, text: str
) -> None:
    closed = {
        "type": "object",
        "properties": {text: {"const": text}, "more": {"$ref": f"#/properties/{text}"}},
        "required": [text, "more"],
        "additionalProperties": False,
    }
    held = hold(closed, "schema", is_strict=True)
    texts = writer.texts(Guide(json_schema=json.dumps(held)), 1, 2)
    assert texts
    assert [json.loads(each) for each in texts] == [{text: text, "more": text}] * len(texts)

    begun = {"type": "const_string", "value": text}
    schema = {"type": "json_schema", "json_schema": hold({"enum": [text]}, "", is_strict=True)}
    sequence = {"type": "sequence", "elements": [begun, schema]}
    tag = json.dumps({"type": "structural_tag", "format": sequence})
    assert set(writer.texts(Guide(structural_tag=tag), 1, 2)) == {f'{text}"{text}"'}


@settings(deadline=None, max_examples=40)
@given(st.text("éßÿŁ€ab0-^$", min_size=1, max_size=5), st.sampled_from(["", "A-ÿ"]), SEEDS)
def test_whatever_a_class_of_characters_lets_through_is_in_it(
    writer: Writer, members: str, further: str, seed: int
) -> None:
    escaped = "".join(rf"\{each}" if each in "-^" else each for each in members)
    expression = f"[{escaped}{further}]{{2}}"
    texts = writer.texts(Guide(regex=expression), seed, 4)
    assert texts
    assert all(re.fullmatch(expression, each) for each in texts), (expression, texts)


@pytest.mark.parametrize("expression", ["größe", "Stra(ß|ss)e[a-f]", "[éfab0]{3}", r"[\^é]{2}"])
def test_expressions_beyond_ascii(writer: Writer, expression: str) -> None:
    texts = writer.texts(Guide(regex=expression), 1, 6)
    assert texts
    assert all(re.fullmatch(expression, each) for each in texts), texts
