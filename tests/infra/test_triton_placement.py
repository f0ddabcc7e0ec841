"""Triton's repository: models stand there whole, or not at all."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from infra.triton import placement
from tests.inference.triton import served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    placement.clear(tmp_path / "models")
    return tmp_path / "models"


def test_a_model_is_placed_once_and_again_when_it_says_something_else(folder: Path) -> None:
    assert placement.place(folder, served("m.v1"), "python3", "")
    compiled = folder / "m.v1" / "1" / "__pycache__" / "model.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"what Python leaves there")
    assert not placement.place(folder, served("m.v1"), "python3", "")
    assert placement.place(folder, replace(served("m.v1"), max_queue=5), "python3", "")
    assert [entry.name for entry in folder.iterdir()] == ["m.v1"]
    assert 'value: { string_value: "5" }' in (folder / "m.v1" / "config.pbtxt").read_text()


def test_a_model_is_removed_once(folder: Path) -> None:
    placement.place(folder, served("m.v1"), "python3", "")
    placement.place(folder, served("m.v2"), "python3", "")
    placement.remove(folder, "m.v1")
    placement.remove(folder, "m.v1")
    assert [entry.name for entry in folder.iterdir()] == ["m.v2"]


def test_nothing_is_left_beside_the_repository(folder: Path) -> None:
    with placement.reserved(folder, "m.v1") as is_ours:
        assert is_ours
        placement.place(folder, served("m.v1"), "python3", "")
    placement.remove(folder, "m.v1")
    assert [entry.name for entry in folder.parent.iterdir()] == ["models"]


def test_a_model_is_reserved_for_one(folder: Path) -> None:
    with (
        placement.reserved(folder, "m.v1") as first,
        placement.reserved(folder, "m.v1") as second,
        placement.reserved(folder, "n") as other,
    ):
        assert (first, second, other) == (True, False, True)
    with placement.reserved(folder, "m.v1") as again:
        assert again


def test_replicas_that_place_the_same_model_at_once_leave_one(folder: Path) -> None:
    together, placed = threading.Barrier(4), []

    def place() -> None:
        together.wait()
        placed.append(placement.place(folder, served("m.v1"), "python3", ""))

    threads = [threading.Thread(target=place) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(placed) == [False, False, False, True]
    assert [entry.name for entry in folder.iterdir()] == ["m.v1"]
