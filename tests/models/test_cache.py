import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.models.cache import prepared
from infra.models.errors import ModelError
from infra.models.prepare import prepare
from infra.models.source import HubModel, last_part, parse
from tests.models.making import hugging_face, openvino, pocket_weights, write_gguf


def test_a_folder_of_openvino_is_served_as_it_is(tmp_path: Path) -> None:
    source = openvino(tmp_path / "model")
    assert prepare(str(source), tmp_path / "cache") == source
    assert prepared(str(source), tmp_path / "cache") == source
    assert not (tmp_path / "cache").exists()


def test_a_model_is_converted_once(tmp_path: Path) -> None:
    source, cache = str(hugging_face(tmp_path / "model")), tmp_path / "cache"
    heard: list[tuple[str, int, int]] = []
    assert prepared(source, cache) is None
    folder = prepare(source, cache, lambda *told: heard.append(told))
    assert heard[-1] == ("converting", 4, 4)
    heard.clear()
    assert prepare(source, cache, lambda *told: heard.append(told)) == folder
    assert prepared(source, cache) == folder
    assert heard == []


def test_a_model_that_changed_is_converted_anew(tmp_path: Path) -> None:
    file, cache = tmp_path / "it.gguf", tmp_path / "cache"
    write_gguf(file, pocket_weights())
    first = prepare(str(file), cache)
    state = file.stat()
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert prepared(str(file), cache) is None
    assert prepare(str(file), cache) != first


def test_many_who_want_the_same_model_get_it_converted_once(tmp_path: Path) -> None:
    source, cache = str(hugging_face(tmp_path / "model")), tmp_path / "cache"
    heard: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        wanted = [
            pool.submit(prepare, source, cache, lambda task, *_: heard.append(task))
            for _ in range(4)
        ]
    assert {each.result() for each in wanted} == {prepared(source, cache)}
    assert heard.count("converting") == 5


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("acme/model", HubModel("acme/model")),
        ("hf:acme/Model-1.5b", HubModel("acme/Model-1.5b")),
        ("acme/model@v2/beta", HubModel("acme/model", "v2/beta")),
        ("acme/model/q8_0.gguf", HubModel("acme/model", file="q8_0.gguf")),
        ("hf:acme/model/q8_0.gguf@abc", HubModel("acme/model", "abc", "q8_0.gguf")),
    ],
)
def test_a_model_of_a_hub_is_named_by_its_owner(source: str, named: HubModel) -> None:
    assert parse(source) == named


def test_a_path_that_exists_is_no_model_of_a_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino(tmp_path / "acme" / "model")
    monkeypatch.chdir(tmp_path)
    assert prepare("acme/model", tmp_path / "cache") == tmp_path / "acme" / "model"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("acme/Qwen2.5-0.5B-Instruct", "qwen2.5-0.5b-instruct"),
        ("hf:acme/model/Model Q8_0.gguf@main", "model-q8_0"),
        ("/models/Tiny Llama/", "tiny-llama"),
        ("/models/…", "model"),
    ],
)
def test_a_model_is_called_by_the_last_part_of_its_source(source: str, name: str) -> None:
    assert last_part(source) == name


@pytest.mark.parametrize("source", ["../model", "acme/..", "a/b/c", "ácme/model", "acme/model@.."])
def test_what_only_looks_like_a_model_of_a_hub_is_none(source: str) -> None:
    with pytest.raises(ModelError, match="it names no model on a hub"):
        parse(source)
