"""What is wrong with a model that `catenary up --model` is given is one line."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catenary.cli import app
from tests.models.making import hugging_face


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def refusal(folder: Path, *options: str, code: int = 2) -> str:
    (folder / "mesh.yaml").write_text("")
    command = ["up", "--config", str(folder / "mesh.yaml"), "--state-dir", str(folder / "state")]
    result = CliRunner().invoke(app, [*command, *options])
    assert result.exit_code == code
    assert not (folder / "state").exists()
    return result.stderr.replace(str(folder), "…")


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path, "--model", str(tmp_path / "none")) == (
        "…/none: there is no such file or folder, and it names no model on a hub\n"
    )


@pytest.mark.parametrize("source", ["", " "])
def test_no_model(tmp_path: Path, source: str) -> None:
    assert refusal(tmp_path, "--model", source) == (
        "--model: names nothing: give a folder, a GGUF file or a hub's name\n"
    )


def test_a_file_and_a_folder_that_are_no_models(tmp_path: Path) -> None:
    file, folder = tmp_path / "notes.txt", tmp_path / "folder"
    file.write_text("")
    folder.mkdir()
    assert refusal(tmp_path, "--model", str(file)) == (
        "…/notes.txt: is no GGUF file; a model of several files is named as a folder\n"
    )
    assert refusal(tmp_path, "--model", str(folder)).startswith("…/folder: holds no model: ")


@pytest.mark.parametrize("options", [(), ("--model", "pocket")])
def test_a_folder_without_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Sequence[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["up", "--state-dir", str(tmp_path / "state"), *options])
    told = "there is no file 'mesh.yaml': name the mesh's with --config\n"
    assert (result.exit_code, result.stderr) == (2, told)


def test_a_model_that_is_broken(tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "model")
    weights = source / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    line = refusal(tmp_path, "--model", str(source), code=1)
    assert line.startswith("…/model/model.safetensors: is truncated: it has 6955519 bytes, and ")
    assert line.count("\n") == 1


def test_one_model_and_a_file_of_models(tmp_path: Path) -> None:
    options = ("--model", str(tmp_path), "--models", str(tmp_path / "models.yaml"))
    assert refusal(tmp_path, *options) == (
        "--model serves one model instead of those of --models: give one of the two\n"
    )
