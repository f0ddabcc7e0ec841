"""Triton's repository: models stand there whole, or not at all."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from infra.triton import placement
from infra.triton.placement import Standing
from tests.inference.triton import served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    placement.clear(tmp_path / "models")
    return tmp_path / "models"


def test_a_model_is_placed_once_and_never_changed_where_it_stands(folder: Path) -> None:
    assert placement.place(folder, served("m.v1"), "python3", "") is Standing.NEW
    compiled = folder / "m.v1" / "1" / "__pycache__" / "model.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"what Python leaves there")
    assert placement.place(folder, served("m.v1"), "python3", "") is Standing.SAME
    config = folder / "m.v1" / "config.pbtxt"
    before = config.read_text()
    other = replace(served("m.v1"), max_queue=5)
    assert placement.place(folder, other, "python3", "") is Standing.OTHER
    assert config.read_text() == before
    assert [entry.name for entry in folder.iterdir()] == ["m.v1"]


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
    with placement.reserved(folder, "m.v1"):
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


def test_a_model_is_reserved_for_one_though_its_lock_comes_and_goes(folder: Path) -> None:
    together, inside, most, taken = threading.Barrier(4), 0, 0, 0

    def reserve() -> None:
        nonlocal inside, most, taken
        together.wait()
        for _ in range(2000):
            with placement.reserved(folder, "m.v1") as is_ours:
                if is_ours:
                    inside += 1
                    most = max(most, inside)
                    time.sleep(0)
                    taken += 1
                    inside -= 1

    threads = [threading.Thread(target=reserve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken > 0
    assert most == 1


def test_a_model_is_held_until_the_last_lets_it_go(folder: Path) -> None:
    assert not placement.is_held(folder, "m.v1")
    placement.place(folder, served("m.v1"), "python3", "")
    first, second = placement.hold(folder, "m.v1"), placement.hold(folder, "m.v1")
    assert placement.is_held(folder, "m.v1")
    first.close()
    assert placement.is_held(folder, "m.v1")
    second.close()
    assert not placement.is_held(folder, "m.v1")
