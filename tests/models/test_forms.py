"""One model, the pocket model, in every form: it says the same."""

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from tokenizers import Tokenizer

from infra.engine.engine import Generation
from infra.engine.guide_worker import Compiler
from infra.engine.guides import Guide
from infra.models.prepare import prepare
from services.inference.template import ChatTemplate
from tests.models.making import (
    POCKET,
    change,
    hugging_face,
    openvino,
    pocket_weights,
    write_gguf,
    write_safetensors,
)
from tests.models.running import generated, logits

Q8_0 = gguf.GGMLQuantizationType.Q8_0
QUESTION = [{"role": "user", "content": "What does the cache do?"}]


def sharded(folder: Path) -> Path:
    """The pocket model with its weights in two files, in float16."""
    hugging_face(folder)
    (folder / "model.safetensors").unlink()
    weights = pocket_weights()
    names = sorted(weights)
    halves = {
        "model-00001-of-00002.safetensors": names[: len(names) // 2],
        "model-00002-of-00002.safetensors": names[len(names) // 2 :],
    }
    for file, inside in halves.items():
        write_safetensors(folder / file, {name: weights[name] for name in inside}, "F16")
    index = {f"model.{name}": file for file, inside in halves.items() for name in inside}
    text = json.dumps({"metadata": {}, "weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text)
    return folder


def wide(folder: Path) -> Path:
    """The pocket model with its weights in float32."""
    hugging_face(folder)
    write_safetensors(folder / "model.safetensors", pocket_weights())
    return folder


def in_gguf(kind: gguf.GGMLQuantizationType) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        write_gguf(path, pocket_weights(), kind=kind)
        return path

    return write


FORMS = {
    "openvino": openvino,
    "bfloat16": hugging_face,
    "float16, sharded": sharded,
    "float32": wide,
    "gguf, float32": in_gguf(gguf.GGMLQuantizationType.F32),
    "gguf, bfloat16": in_gguf(gguf.GGMLQuantizationType.BF16),
    "gguf, 8 bits": in_gguf(Q8_0),
}


@pytest.fixture(scope="module", params=FORMS, ids=lambda form: form.replace(", ", "-"))
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(form: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("form")
    name = "model.gguf" if form.startswith("gguf") else "model"
    return prepare(str(FORMS[form](root / name)), root / "cache")


def answer(folder: Path) -> str:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompt = ChatTemplate.read(folder).render(QUESTION)
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    tokens, reason = generated(
        folder, Generation(input_ids=ids, max_output_tokens=100, temperature=0)
    )
    assert reason == "stop"
    return str(tokenizer.decode(tokens))


def test_it_gives_the_same_answer(folder: Path) -> None:
    assert answer(folder) == answer(POCKET)
    assert "computed again" in answer(folder)


def test_it_computes_the_same_scores(form: str, folder: Path) -> None:
    ids = [1, 4, *range(300, 330), 2, 5]
    expected = logits(POCKET, ids)
    difference = np.abs(logits(folder, ids) - expected).mean()
    # Whoever keeps all digits of the stored weights comes to the very same integers.
    allowed = 0.05 if form == "gguf, 8 bits" else 1e-6
    assert difference <= allowed * np.abs(expected).mean()


def test_it_can_be_guided(folder: Path) -> None:
    guided = Generation(
        input_ids=[1, 4, 300, 2, 5], max_output_tokens=9, regex="[0-9]{3} \U0001f600"
    )
    tokens, reason = generated(folder, guided)
    text = Tokenizer.from_file(str(folder / "tokenizer.json")).decode(tokens)
    assert reason == "stop"
    assert text[:3].isdigit()
    assert text[3:] == " \U0001f600"


def test_guides_are_tried_with_its_tokens(tmp_path: Path) -> None:
    compiler = Compiler(prepare(str(hugging_face(tmp_path / "model")), tmp_path / "cache"))
    assert compiler.verdict(Guide(json_schema='{"type": "integer"}')).problem == ""
    assert compiler.verdict(Guide(regex="(")).problem


def test_a_window_of_attention_bounds_the_context(tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "windowed")
    change(source / "config.json", sliding_window=512)
    folder = prepare(str(source), tmp_path / "cache")
    assert json.loads((folder / "config.json").read_text())["max_position_embeddings"] == 512


def test_a_template_by_name_is_found(tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "named")
    (source / "chat_template.jinja").unlink()
    named = [{"name": "rag", "template": "no"}, {"name": "default", "template": "yes"}]
    change(source / "tokenizer_config.json", chat_template=named)
    folder = prepare(str(source), tmp_path / "cache")
    assert ChatTemplate.read(folder).render(QUESTION) == "yes"


def test_an_answer_ends_without_a_generation_config(tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "plain")
    (source / "generation_config.json").unlink()
    change(source / "config.json", eos_token_id=[2, 3])
    assert answer(prepare(str(source), tmp_path / "cache")) == answer(POCKET)
