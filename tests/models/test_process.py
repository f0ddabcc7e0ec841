"""A process of its own makes models ready for those who have other work to do."""

import asyncio
import os
from pathlib import Path

import pytest

from infra.models.cache import default_cache, prepared
from infra.models.errors import ModelError
from infra.models.process import ready
from tests.models.making import hugging_face


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


async def test_a_model_is_made_ready(tmp_path: Path) -> None:
    source = str(hugging_face(tmp_path / "model"))
    folder = await ready(source)
    assert (folder / "openvino_model.bin").is_file()
    assert prepared(source, default_cache()) == folder
    assert await ready(source) == folder


async def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "model")
    (source / "config.json").unlink()
    with pytest.raises(ModelError) as caught:
        await ready(str(source))
    assert str(caught.value) == f"{source}: has no config.json"


async def test_nobody_works_for_those_who_have_left(tmp_path: Path) -> None:
    before = children()
    waiting = asyncio.create_task(ready(str(hugging_face(tmp_path / "model"))))
    while children() == before:  # noqa: ASYNC110 - nothing else tells of a process
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert children() == before


def children() -> list[str]:
    """The processes that this one has started and that have not ended."""
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
