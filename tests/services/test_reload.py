"""A followed file: whatever is done to it, what was taken last is the last that could be used."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.config.v1.models_pb2 import ModelsConfig
from services import config, reload
from services.served import Served

POCKET = config.POCKET.path
_POLL_S = 0.001

edits = st.one_of(
    st.just("models: ["),
    st.just("models:\n- {name: a, path: nowhere}\n"),
    st.just(None),
    st.dictionaries(
        st.sampled_from("abc"), st.tuples(st.integers(1, 3), st.integers(1, 2)), max_size=3
    ),
)
"""A broken file, one that names no folder, no file at all, or models with version and limit."""


def text_of(models: dict[str, tuple[int, int]]) -> str:
    return "models:\n" + "".join(
        f"- {{name: {name}, path: {POCKET}, version: {version}, max_queue: {limit}}}\n"
        for name, (version, limit) in models.items()
    )


def may_follow(models: dict[str, tuple[int, int]], served: dict[str, tuple[int, int]]) -> bool:
    return all(models[name][0] >= served[name][0] for name in models.keys() & served.keys())


class Followed:
    """A file that is followed, as a process follows models.yaml."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "models.yaml"
        self.file.write_text(text_of({"a": (1, 1)}))
        self.served = Served(config.load_models(self.file), {"alias": "a"})
        self._task = asyncio.create_task(
            reload.follow(
                self.file,
                reload.snapshot(self.file),
                self._next,
                self.served.take,
                self.served.refuse,
                poll_s=_POLL_S,
            )
        )

    def _next(self) -> ModelsConfig:
        return config.replace_models(self.file, self.served.config)

    def models(self) -> dict[str, tuple[int, int]]:
        return {model.name: (model.version, model.max_queue) for model in self.served.config.models}

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def taken(followed: Followed, wanted: dict[str, tuple[int, int]]) -> None:
    async with asyncio.timeout(10):
        while followed.models() != wanted:  # noqa: ASYNC110 - what is followed tells nobody
            await asyncio.sleep(_POLL_S)


@settings(max_examples=25, deadline=None)
@given(st.lists(edits, max_size=6))
def test_any_edits_end_in_the_state_of_the_last_valid_one(
    tmp_path_factory: pytest.TempPathFactory,
    steps: Sequence[str | dict[str, tuple[int, int]] | None],
) -> None:
    async def edit_all(folder: Path) -> None:
        followed = Followed(folder)
        wanted = {"a": (1, 1)}
        for step in steps:
            if step is None:
                followed.file.unlink(missing_ok=True)
            elif isinstance(step, str):
                followed.file.write_text(step)
            else:
                followed.file.write_text(text_of(step))
                # An empty list means the default.
                if step and may_follow(step, wanted):
                    wanted = step
                    await taken(followed, wanted)
        await taken(followed, wanted)
        assert followed.served.names == set(wanted)
        assert followed.served.labels == {*wanted, "alias"}
        await followed.stop()

    asyncio.run(edit_all(tmp_path_factory.mktemp("edits")))


async def test_a_refused_file_is_one_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    followed = Followed(tmp_path)
    told: list[ModelsConfig] = []
    followed.served.tell(told.append)
    followed.file.write_text("models:\n- name: a\n  pth: x\n")
    with caplog.at_level(logging.INFO):
        async with asyncio.timeout(10):
            while not caplog.records:  # noqa: ASYNC110 - a log tells nobody
                await asyncio.sleep(_POLL_S)
        told_line = "models.yaml is not in force: line 3, field models[0].pth: there is no"
        assert followed.served.refusal.startswith(told_line)
        followed.file.write_text(text_of({"b": (1, 1)}))
        await taken(followed, {"b": (1, 1)})
        assert not followed.served.refusal
    await followed.stop()
    refused, *_ = caplog.records
    assert refused.message == "configuration refused"
    assert refused.__dict__["problem"].startswith(f"{followed.file}:3: models[0].pth: there is no")
    assert [[model.name for model in config.models] for config in told] == [["a"], ["b"]]


async def test_a_touched_file_is_taken_again(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("same")
    taken = asyncio.Event()
    following = asyncio.create_task(
        reload.follow(
            file,
            reload.snapshot(file),
            lambda: None,
            lambda _: taken.set(),
            lambda error: pytest.fail(str(error)),
            poll_s=_POLL_S,
        )
    )
    file.touch()
    async with asyncio.timeout(10):
        await taken.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
