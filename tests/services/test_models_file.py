"""models.yaml: what it may say, what it means, and how it may change while the models serve."""

import shutil
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catenary.config.v1 import models_pb2
from services import config, models

ROOT = Path(__file__).resolve().parents[2]
POCKET = ROOT / "models" / "pocket"


def written(folder: Path, text: str) -> Path:
    file = folder / "models.yaml"
    file.write_text(text.replace("POCKET", str(POCKET)), encoding="utf-8")
    return file


def refusal(file: Path) -> str:
    with pytest.raises(config.ConfigError) as caught:
        config.load_models(file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("models: 5\n", ":1: models: must be a list"),
        ("model:\n", ":1: model: there is no such field here; there are models"),
        (
            "models:\n- name: a\n  path: POCKET\n  max_queue: x\n",
            ":4: models[0].max_queue: must be a whole number from 0 to 4294967295",
        ),
        (
            "models:\n- name: a\n  path: POCKET\n  price: {input: much}\n",
            ":4: models[0].price.input: must be a number",
        ),
        (
            "models:\n- name: a\n  path: POCKET\n  triton: {is_cumulative: 3}\n",
            ":4: models[0].triton.is_cumulative: must be true or false",
        ),
        (
            "models:\n- name: a\n  path: POCKET\n  engine_args: [1]\n",
            ":4: models[0].engine_args: must be a mapping",
        ),
        (
            "models:\n- name: a\n  path: folder\n",
            ":3: models[0].path: there is no folder '…/folder'",
        ),
        ("models:\n- name: a\n", ":2: models[0].path: must be given"),
        (
            "models:\n- {name: a, path: POCKET}\n- name: a\n  path: POCKET\n",
            ":3: models[1].name: 'a' stands twice",
        ),
        (
            "models:\n- {name: a, path: m.gguf}\n",
            ":2: models[0].path: there is nothing at '…/m.gguf'",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line_with_file_line_and_field(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = written(tmp_path, text)
    assert refusal(file).replace(str(tmp_path), "…") == f"…/models.yaml{problem}"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("openvino_model.bin", None, "the model has no file"),
        ("openvino_model.bin", "short", "is cut short: it has 5 bytes of 3506652"),
        ("openvino_model.xml", "<net/>", "is no model of OpenVINO's"),
        ("config.json", "{}", "does not tell 'max_position_embeddings'"),
        ("config.json", "[" * 100_000, "is not JSON"),
        ("tokenizer_config.json", "{", "is not JSON"),
    ],
)
def test_a_model_that_is_not_whole_is_refused(
    tmp_path: Path, name: str, content: str | None, problem: str
) -> None:
    shutil.copytree(POCKET, tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    if content is not None:
        (tmp_path / "model" / name).write_text(content)
    told = refusal(written(tmp_path, "models:\n  - name: m\n    path: model\n"))
    assert told.startswith(f"{tmp_path}/models.yaml:3: models[0].path: ")
    assert problem in told


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "models: []\n"])
def test_what_is_not_said_has_its_default(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "models.yaml" if text is None else written(tmp_path, text)
    loaded = config.load_models(file).models
    assert [model.name for model in loaded] == ["pocket", "minilm"]
    assert (loaded[0].version, loaded[0].engine, loaded[0].max_sequences) == (1, "openvino", 64)
    assert loaded[0].path == str(POCKET)


def test_what_is_said_stands_in_place_of_the_default(tmp_path: Path) -> None:
    text = "models:\n- name: m\n  path: POCKET\n  stream_interval: 1s\n  max_queue: 0\n"
    (model,) = config.load_models(written(tmp_path, text)).models
    assert model.stream_interval.ToMilliseconds() == 1000
    assert model.HasField("max_queue")
    assert model.max_queue == 0


def test_a_server_with_openais_api_needs_no_files_and_has_its_defaults(tmp_path: Path) -> None:
    text = (
        "models:\n- name: far\n  engine: openai\n"
        "  openai: {base_url: 'http://127.0.0.1:1/v1', idle_timeout: 3s}\n"
    )
    (model,) = config.load_models(written(tmp_path, text)).models
    assert model.openai.idle_timeout.ToMilliseconds() == 3000
    assert model.openai.connect_timeout == config.OPENAI_DEFAULTS.connect_timeout


def test_the_file_of_the_repository_says_what_the_defaults_say(tmp_path: Path) -> None:
    default = config.load_models(tmp_path / "none.yaml")
    assert config.load_models(ROOT / "models.yaml") == default


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # Whether it may, the inference link knows.
        ("- {name: a, path: POCKET, version: 2, max_queue: 5}", ""),
        ("- {name: a, path: POCKET, version: 1}", "'a' has changed"),
        ("- {name: a, path: POCKET, version: 3, max_queue: 5}", ""),
        ("- {name: a, path: POCKET, version: 2, owner: us, price: {input: 3}}", ""),
        ("- {name: b, path: POCKET, max_queue: 5}", ""),
        ("- {name: a, path: POCKET, version: 2}", ""),
    ],
)
def test_the_version_of_a_model_never_counts_down(tmp_path: Path, text: str, problem: str) -> None:
    file = written(tmp_path, "models:\n- {name: a, path: POCKET, version: 2}\n")
    served = config.load_models(file)
    written(tmp_path, f"models:\n{text}\n")
    if problem:
        with pytest.raises(config.ConfigError) as caught:
            config.replace_models(file, served)
        assert str(caught.value) == (
            f"{file}:2: models[0].version: {problem}: its version must count up from 2"
        )
    else:
        assert config.replace_models(file, served) == config.load_models(file)


@pytest.mark.parametrize(
    ("aliases", "problem"),
    [
        ("{gpt-5: pockt}", "'gpt-5' stands for 'pockt', but the models are pocket, minilm"),
        ("{pocket: pocket}", "'pocket' is the name of a model, and cannot stand for another"),
        ("{gpt-5: pocket}", ""),
    ],
)
def test_an_alias_stands_for_a_model(tmp_path: Path, aliases: str, problem: str) -> None:
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(f"router:\n  aliases: {aliases}\n")
    served = config.load_models(tmp_path / "none.yaml")
    loaded = config.load(mesh)
    if problem:
        with pytest.raises(config.ConfigError) as caught:
            config.check_aliases(mesh, loaded.router.aliases, served)
        assert str(caught.value) == f"{mesh}:2: router.aliases: {problem}"
    else:
        config.check_aliases(mesh, loaded.router.aliases, served)


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
numbers = st.floats(0, 1e6) | st.integers(0, 2**32 - 1).map(float)
values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@example({"\U0001f309": None}, {"a": "\x85", "b": "\x7f\ufeff"}, 1e-5)
@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(words, values, max_size=3), st.dictionaries(words, words, max_size=3), numbers
)
def test_models_that_are_kept_are_the_same_in_another_folder(
    tmp_path_factory: pytest.TempPathFactory,
    engine_args: dict[str, object],
    headers: dict[str, str],
    price: float,
) -> None:
    folder, elsewhere = tmp_path_factory.mktemp("given"), tmp_path_factory.mktemp("kept")
    (folder / "m").symlink_to(POCKET)
    text = (
        "models:\n- {name: m, path: m, version: 7, stream_interval: 0.5s, adapters: {a: lora}}\n"
        "- {name: o, engine: openai, openai: {base_url: 'http://h/v1', key_file: k}}\n"
    )
    loaded = config.load_models(written(folder, text))
    json_format.ParseDict(engine_args, loaded.models[0].engine_args)
    loaded.models[0].price.input = price
    loaded.models[1].openai.headers.update(headers)
    kept = elsewhere / "kept.yaml"
    for models_kept in (models_pb2.ModelsConfig(models=loaded.models[:1]), loaded):
        config.keep_models(models_kept, kept)
        assert config.load_models(kept) == models_kept
    assert kept.stat().st_mode & 0o777 == 0o600
    assert list(elsewhere.iterdir()) == [kept]


def test_models_that_cannot_be_kept_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "kept.yaml"
    with pytest.raises(config.ConfigError) as caught:
        config.keep_models(models_pb2.ModelsConfig(), file)
    assert str(caught.value) == f"{file}: cannot be written: No such file or directory"


def test_a_card_tells_what_the_files_tell(tmp_path: Path) -> None:
    text = "models:\n- {name: m, path: POCKET, version: 7, owner: us, price: {input: 0.5}}\n"
    loaded = config.load_models(written(tmp_path, text))
    card = models.describe(loaded.models)["m"]
    assert (card.context_window, card.engine, card.precision) == (2048, "openvino", "int8")
    assert (card.version, card.owner, card.price.input) == (7, "us", 0.5)


@pytest.mark.parametrize(
    ("shape", "precision"),
    [
        ('{"quantization_config": {"quant_method": "awq"}}', "awq"),
        ('{"torch_dtype": "bfloat16"}', "bf16"),
        ('{"dtype": "float16"}', "f16"),
        ("{}", ""),
    ],
)
def test_precision_of_a_model_in_hugging_faces_form(
    tmp_path: Path, shape: str, precision: str
) -> None:
    (tmp_path / "config.json").write_text(shape)
    file = written(tmp_path, f"models:\n- name: m\n  engine: vllm\n  path: {POCKET}\n")
    (model,) = config.load_models(file).models
    model.path = str(tmp_path)
    assert models.describe([model])["m"].precision == precision
