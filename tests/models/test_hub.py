"""Models of a hub: downloaded, resumed and checked."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.models.cache import prepared
from infra.models.errors import ModelError
from infra.models.prepare import prepare
from tests.models.hub_server import COMMIT, FakeHub, served
from tests.models.making import POCKET, TEXTS, pocket_weights, write_gguf

SOURCE = "acme/model"
WEIGHTS = "model.safetensors"
KEY = "hf_secret"


def files(*more: str) -> dict[str, bytes]:
    """What the hub has of the pocket model, with what there is in such places as well."""
    names = (*TEXTS, WEIGHTS, "README.md", *more)
    return {
        "pytorch_model.bin": b"never fetched" * 10_000,
        "consolidated.safetensors": b"never fetched" * 10_000,
        "openvino_tokenizer.xml": b"never fetched",
        "onnx/model.onnx": b"never fetched",
        "../outside.json": b"never fetched",
    } | {name: (POCKET / name).read_bytes() for name in names}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with served(FakeHub(files())) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield running


def fetched(hub: FakeHub) -> set[str]:
    return {path.rpartition("/")[2] for path in hub.asked if "/resolve/" in path}


def refusal(cache: Path, source: str = SOURCE) -> str:
    with pytest.raises(ModelError) as caught:
        prepare(source, cache)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_is_downloaded_and_converted_once(hub: FakeHub, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    assert prepared(SOURCE, tmp_path) is None
    folder = prepare(SOURCE, tmp_path, lambda *told: heard.append(told))
    assert (folder / "openvino_model.bin").read_bytes() == (
        POCKET / "openvino_model.bin"
    ).read_bytes()
    assert fetched(hub) == {*TEXTS, WEIGHTS}
    total = sum(len(hub.files[name]) for name in fetched(hub))
    downloading = [told for told in heard if told[0] == "downloading"]
    assert downloading[-1] == ("downloading", total, total)
    assert sorted(downloading) == downloading
    hub.asked.clear()
    assert prepare(SOURCE, tmp_path) == folder
    assert prepared(SOURCE, tmp_path) == folder
    assert hub.asked == []


def test_a_download_that_is_cut_goes_on_where_it_stopped(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 70_000
    prepare(SOURCE, tmp_path)
    asked = [path for path in hub.asked if WEIGHTS in path]
    path = f"/{SOURCE}/resolve/{COMMIT}/{WEIGHTS}"
    assert asked == [path, f"{path} bytes=70000-"]


def test_a_later_run_goes_on_where_the_first_stopped(hub: FakeHub, tmp_path: Path) -> None:
    storage = hub.storage_url
    hub.cut_after, hub.then_moved_to = 70_000, closed()
    line = f"{WEIGHTS}: cannot be downloaded: Connection refused; what has come is kept"
    assert refusal(tmp_path) == line
    hub.storage_url = storage
    hub.asked.clear()
    prepare(SOURCE, tmp_path)
    path = f"/{SOURCE}/resolve/{COMMIT}/{WEIGHTS}"
    assert next(asked for asked in hub.asked if "/resolve/" in asked) == f"{path} bytes=70000-"
    assert "config.json" not in fetched(hub)


def closed() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as left:
        return f"http://127.0.0.1:{left.getsockname()[1]}"


def test_a_hub_that_begins_anew_is_believed(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 70_000
    hub.without_ranges = True
    assert prepare(SOURCE, tmp_path)


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"], ids=["large", "small"])
def test_a_wrong_checksum_is_an_error(hub: FakeHub, tmp_path: Path, name: str) -> None:
    hub.wrong = name
    line = "is not what the hub says it is: its checksum is another"
    assert refusal(tmp_path) == f"{name}: {line}"
    assert prepared(SOURCE, tmp_path) is None
    hub.wrong = ""
    assert prepare(SOURCE, tmp_path)


def test_the_key_goes_to_the_hub_and_nowhere_else(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = KEY
    line = (
        f"{SOURCE}: neither a path here nor a model that {hub.url} gives (401); "
        "a private one needs HF_TOKEN"
    )
    assert refusal(tmp_path) == line
    monkeypatch.setenv("HF_TOKEN", KEY)
    assert prepare(SOURCE, tmp_path)
    assert hub.storage_keys == [None]


def test_a_model_that_is_not_there_is_an_error(hub: FakeHub, tmp_path: Path) -> None:
    line = f"neither a path here nor a model that {hub.url} gives (401)"
    assert refusal(tmp_path, "acme/none").startswith(f"acme/none: {line}")


def test_a_model_for_a_few_is_an_error_to_others(hub: FakeHub, tmp_path: Path) -> None:
    hub.gated = True
    assert refusal(tmp_path) == (
        f"{SOURCE}: {hub.url} gives it only to those whom its owner lets: "
        "set HF_TOKEN to the key of one"
    )


def test_a_revision_is_asked_for(hub: FakeHub, tmp_path: Path) -> None:
    hub.revisions = ("main", "v2/beta")
    assert prepare(f"{SOURCE}@v2/beta", tmp_path) == prepare(SOURCE, tmp_path)
    assert refusal(tmp_path, f"{SOURCE}@v3") == f"{SOURCE}: {hub.url} has no such revision of it"


def test_a_folder_of_openvino_is_served_as_it_came(hub: FakeHub, tmp_path: Path) -> None:
    graphs = [file.name for file in POCKET.glob("openvino_*")]
    hub.files = files(*graphs)
    folder = prepare(SOURCE, tmp_path)
    assert folder.name == COMMIT
    assert fetched(hub) == {*TEXTS, *graphs}


def test_one_gguf_file_is_taken_and_several_are_named(hub: FakeHub, tmp_path: Path) -> None:
    write_gguf(tmp_path / "it.gguf", pocket_weights())
    content = (tmp_path / "it.gguf").read_bytes()
    hub.files = {"README.md": b"", "q4.gguf": content, "q8.gguf": content}
    assert (
        refusal(tmp_path) == f"{SOURCE}: name one of its files, as {SOURCE}/FILE: q4.gguf, q8.gguf"
    )
    assert refusal(tmp_path, f"{SOURCE}/q2.gguf") == (
        f"{SOURCE}: has no file 'q2.gguf'; it has q4.gguf, q8.gguf"
    )
    named = prepare(f"{SOURCE}/q8.gguf", tmp_path)
    assert prepared(f"{SOURCE}/q8.gguf", tmp_path) == named
    assert fetched(hub) == {"q8.gguf"}
    hub.files = {"q8.gguf": content}
    assert prepare(SOURCE, tmp_path) == named


def test_pickled_weights_are_not_taken(hub: FakeHub, tmp_path: Path) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"x"}
    line = "has neither safetensors, nor OpenVINO's files, nor GGUF"
    assert refusal(tmp_path) == f"{SOURCE}: {line}"


def test_a_hub_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = closed()
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert (
        refusal(tmp_path)
        == f"{SOURCE}: no path here, and {endpoint} cannot be reached: Connection refused"
    )


def test_an_address_of_another_kind_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    assert refusal(tmp_path) == (
        f"{SOURCE}: file:///etc is or leads to what is no address of the web"
    )
