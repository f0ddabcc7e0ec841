"""Guides that take for ever, or come in numbers, are in nobody's way for long."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.engine.failure import Reason
from infra.engine.guides import CrowdedError, Guide, GuideChecker
from tests.infra.faulty_engine import engine

COMMAND = [sys.executable, "-m", "tests.infra.guide_answers"]
TOO_LONG = "takes longer than 1 s to compile"


@pytest.fixture
async def checker() -> AsyncIterator[GuideChecker]:
    checker = GuideChecker(COMMAND)
    yield checker
    await checker.close()


async def problem(checker: GuideChecker, word: str) -> str:
    return await asyncio.wait_for(checker.problem(Guide(regex=word)), 60)


async def until_asked(checker: GuideChecker, count: int = 1) -> None:
    async with asyncio.timeout(20):
        while len(checker._asked) < count:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0)


async def test_a_guide_that_takes_for_ever_is_stopped_and_remembered(checker: GuideChecker) -> None:
    assert await problem(checker, "burn") == TOO_LONG
    known = checker.known(Guide(regex="burn"))
    assert known is not None
    assert known.problem == TOO_LONG
    assert await problem(checker, "fine") == ""


async def test_only_the_processors_time_counts(checker: GuideChecker) -> None:
    assert await problem(checker, "idle") == ""


async def test_a_spare_process_goes_on_where_one_was_lost(checker: GuideChecker) -> None:
    assert await problem(checker, "fine") == ""
    spare = checker._spare
    assert spare is not None
    assert await problem(checker, "die") == "does not compile"
    assert await problem(checker, "wrong") == "is wrong"
    process = checker._process
    assert process is not None
    assert process is spare.result()
    # One that was lost while nobody asked is nobody's fault.
    process.kill()
    await process.wait()
    assert await problem(checker, "also fine") == ""


async def test_those_that_are_too_many_are_told_at_once(
    checker: GuideChecker, tmp_path: Path
) -> None:
    assert await problem(checker, "fine") == ""
    files = [tmp_path / str(number) for number in range(4)]
    waiting = [asyncio.create_task(problem(checker, str(file))) for file in files]
    again = asyncio.create_task(problem(checker, str(files[0])))
    await until_asked(checker, len(files))
    with pytest.raises(CrowdedError) as caught:
        await problem(checker, "another")
    assert caught.value.retry_after_s > 0
    # What is known does not wait for what is not.
    assert await problem(checker, "fine") == ""
    for file in files:
        file.touch()
    assert await asyncio.gather(*waiting, again) == [""] * 5
    assert await problem(checker, "another") == ""


async def test_whoever_waits_too_long_for_the_turn_is_told(
    checker: GuideChecker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.engine.guides._TURN_S", 0.05)
    first = asyncio.create_task(problem(checker, str(tmp_path / "file")))
    await until_asked(checker)
    with pytest.raises(CrowdedError):
        await problem(checker, "fine")
    (tmp_path / "file").touch()
    assert await first == ""


async def test_a_guide_is_tried_to_the_end_though_who_asked_has_left(
    checker: GuideChecker, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    asking = asyncio.create_task(problem(checker, str(file)))
    await until_asked(checker)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    file.touch()
    assert await problem(checker, str(file)) == ""


async def test_nothing_is_left_when_it_is_closed(tmp_path: Path) -> None:
    checker = GuideChecker(COMMAND)
    assert await problem(checker, "fine") == ""
    process, spare = checker._process, checker._spare
    assert process is not None
    assert spare is not None
    asking = asyncio.create_task(problem(checker, str(tmp_path / "file")))
    await until_asked(checker)
    await checker.close()
    with pytest.raises(ConnectionError):
        await asking
    assert process.returncode is not None
    if not spare.cancelled():
        assert spare.result().returncode is not None
    assert len(asyncio.all_tasks()) == 1


async def test_a_process_that_cannot_be_started_is_told() -> None:
    for command in ([sys.executable, "-c", "pass"], [os.devnull]):
        checker = GuideChecker(command)
        with pytest.raises(ConnectionError):
            await problem(checker, "fine")
        await checker.close()


async def test_guides_hold_half_of_the_places_at_most(tmp_path: Path) -> None:
    file = tmp_path / "file"
    async with engine(tmp_path, sequences=4, guides=COMMAND) as under:
        first, second, third = (under.ask(regex=str(file)) for _ in range(3))
        failure = await third.end()
        assert failure is not None
        assert failure.reason == Reason.TOO_MANY_GUIDES
        assert failure.retry_after_s
        assert await under.ask().end() is None
        file.touch()
        assert [await first.end(), await second.end()] == [None, None]
        assert await under.ask(regex=str(file)).end() is None
        wrong = await under.ask(regex="wrong").end()
        again = await under.ask(regex="wrong").end()
        assert wrong == again
        assert wrong is not None
        assert (wrong.reason, wrong.message, wrong.field) == (Reason.INVALID, "is wrong", "regex")
