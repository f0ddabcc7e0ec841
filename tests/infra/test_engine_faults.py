"""An engine's process that throws, dies, is stuck or does not come back; deadlines; the figures."""

import asyncio
import math
from pathlib import Path

import pytest

from infra.engine import serving as serving_module
from infra.engine.failure import Reason
from tests.infra.faulty_engine import BOUND_S, CONTEXT_WINDOW, FITS, engine
from tests.infra.faulty_worker import BLOCK_TOKENS, CACHED, DIE, HANG, RAISE


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("fault", "silence_s"), [(RAISE, 60), (DIE, 60), (HANG, 2.5)], ids=["throws", "dies", "hangs"]
)
async def test_a_fault_hits_those_in_the_engine_and_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: int, silence_s: float
) -> None:
    async with engine(tmp_path, silence_s=silence_s) as under:
        bad, beside, waits = under.ask(fault), under.ask(tokens=400), under.ask()
        assert await bad.reason() == await beside.reason() == Reason.ENGINE_FAILED
        assert bad.failure is not None
        assert bad.failure.retry_after_s is not None
        told = under.ask().failure
        assert told is not None, "while it is down, everybody is told at once"
        assert (told.reason, told.retry_after_s) == (Reason.ENGINE_RESTARTING, 1.0)
        # It was in nobody's way, and has lost nothing.
        assert await waits.end() is None
        await under.works()
        assert under.serving.figures.restarts == 1
        assert under.serving.figures.failures == {
            Reason.ENGINE_FAILED: 2,
            Reason.ENGINE_RESTARTING: 1,
        }
    assert "and 2 generations with it" in caplog.text
    assert ("is stuck" in caplog.text) == (fault == HANG)


async def test_an_engine_that_does_not_come_back_soon_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "_PATIENCE_S", 0.3)
    async with engine(tmp_path, sequences=1) as under:
        under.broken.touch()
        bad, waits = under.ask(DIE), under.ask()
        assert await bad.reason() == Reason.ENGINE_FAILED
        assert await waits.reason() in {Reason.ENGINE_RESTARTING, Reason.ENGINE_BROKEN}
        assert not waits.accepted.is_set()
        async with asyncio.timeout(BOUND_S):
            while not under.serving.process.is_broken:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
        assert await under.ask().reason() == Reason.ENGINE_BROKEN
        under.broken.unlink()
        # However often it has failed, it is started again.
        await under.works()


async def test_nobody_is_left_without_an_answer_when_the_engine_is_stopped(tmp_path: Path) -> None:
    async with engine(tmp_path, sequences=1) as under:
        runs, waits = under.ask(tokens=400), under.ask()
    assert await runs.reason() == Reason.ENGINE_FAILED
    assert await waits.reason() == Reason.ENGINE_RESTARTING


async def test_a_higher_priority_takes_the_place_of_whoever_would_go_last(tmp_path: Path) -> None:
    async with engine(tmp_path, sequences=1, waiting=2) as under:
        runs = under.ask(tokens=400)
        older, newer = under.ask(priority=9), under.ask(priority=9)
        assert await under.ask(priority=9).reason() == Reason.QUEUE_FULL
        urgent = under.ask(priority=0)
        failure = await newer.end()
        assert failure is not None
        assert failure.reason == Reason.QUEUE_FULL
        assert failure.retry_after_s is not None
        assert not newer.accepted.is_set()
        assert [await each.end() for each in (runs, urgent, older)] == [None] * 3
        await under.works()


async def test_an_engine_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(ConnectionError):
        async with engine(tmp_path):
            pass


async def test_whoever_waits_is_told_when_the_time_is_up(tmp_path: Path) -> None:
    async with engine(tmp_path, sequences=1) as under:
        runs = under.ask(tokens=FITS - 2)
        waits = under.ask(time_budget_ms=30)
        assert await waits.reason() == Reason.DEADLINE_EXCEEDED
        assert not runs.over.is_set()
        assert under.serving.admission.waiting == 0
        assert await runs.end() is None
        await under.works()


async def test_whoever_runs_is_stopped_when_the_time_is_up(tmp_path: Path) -> None:
    async with engine(tmp_path) as under:
        late = under.ask(tokens=FITS - 2, time_budget_ms=100)
        assert await late.reason() == Reason.DEADLINE_EXCEEDED
        assert late.tokens < FITS - 2
        await under.works()


async def test_what_cannot_be_done_in_time_is_refused_before_it_costs_anything(
    tmp_path: Path,
) -> None:
    async with engine(tmp_path, sequences=1) as under:
        for _ in range(4):
            assert await under.ask(tokens=100).end() is None
        runs = under.ask(tokens=400)
        await asyncio.wait_for(runs.accepted.wait(), BOUND_S)
        queued = [under.ask(tokens=100) for _ in range(3)]
        # Four before it, of a tenth of a second each at least.
        late = under.ask(time_budget_ms=100)
        assert await late.reason() == Reason.DEADLINE_TOO_SHORT
        assert under.ask(time_budget_ms=60_000).failure is None
        # A token takes a step: 400 of them take much longer than that.
        many = under.ask(tokens=400, min_output_tokens=400, time_budget_ms=300, priority=0)
        assert await many.reason() == Reason.DEADLINE_TOO_SHORT
        assert await asyncio.gather(runs.end(), *(each.end() for each in queued)) == [None] * 4


async def test_what_the_kv_cache_cannot_hold_is_refused_with_the_counts(tmp_path: Path) -> None:
    async with engine(tmp_path) as under:
        failure = await under.ask(tokens=FITS - 1).end()
        assert failure is not None
        assert (failure.reason, failure.field) == (Reason.INVALID, "max_output_tokens")
        for count in (2, FITS - 1, FITS):
            assert str(count) in failure.message
        wide = await under.ask(tokens=FITS - 2, n=2).end()
        assert wide is not None
        assert wide.reason == Reason.INVALID
        narrow = await under.ask(n=3).end()
        assert narrow is not None
        assert narrow.field == "n"
        # Whoever has set no limit gets what there is.
        unlimited = under.ask(tokens=CONTEXT_WINDOW - 2)
        assert await unlimited.end() is None
        assert unlimited.tokens == FITS - 2


async def test_no_more_tokens_are_admitted_than_the_kv_cache_holds(tmp_path: Path) -> None:
    async with engine(tmp_path, sequences=8) as under:
        half = FITS // 2
        first, second = (under.ask(tokens=half - 2) for _ in range(2))
        third = under.ask(tokens=BLOCK_TOKENS)
        await asyncio.wait_for(asyncio.gather(first.accepted.wait(), second.accepted.wait()), 5)
        assert under.serving.admission.running_tokens == FITS
        assert not third.accepted.is_set()
        load = under.serving.load()
        assert load.utilization > 1
        assert (load.running, load.waiting, load.max_batch_size) == (2, 1, 8)
        assert await third.end() is None
        assert first.over.is_set() or second.over.is_set()


async def test_the_figures_tell_what_the_engine_has_done(tmp_path: Path) -> None:
    async with engine(tmp_path) as under:
        figures = under.serving.figures
        assert figures.cached_prompt_tokens is None
        assert math.isnan(under.serving.load().cached_prompt_ratio)
        await asyncio.gather(under.ask().end(), under.ask(CACHED).end())
        await under.works()
        async with asyncio.timeout(BOUND_S):
            # The last of it comes within a second.
            while figures.generated_tokens < 30:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
        assert figures.generated_tokens == 30
        assert figures.prompt_tokens == 6
        assert figures.cached_prompt_tokens == 1
        assert under.serving.load().cached_prompt_ratio == 1 / 6
        assert 10 <= figures.steps <= 32
        assert 1 <= figures.batch_size <= 2
        assert figures.step_s > 0.001
        assert figures.kv_cache_usage_ratio == 0.25


async def test_requests_that_come_and_go_leave_nothing(tmp_path: Path) -> None:
    async with engine(tmp_path, sequences=4, waiting=1000) as under:
        await under.works()
        files = open_files()
        for _ in range(5):
            callers = [under.ask(tokens=1 + number % 5) for number in range(200)]
            for identity in list(under.serving.calls)[::3]:
                under.serving.cancel(identity)
            for caller in callers:
                assert await caller.reason() in {None, Reason.CANCELLED}
        await under.works()
        assert open_files() == files
        assert not under.serving.process._delivers
        # This test, the engine, what publishes, and what waits for the process.
        assert len(asyncio.all_tasks()) <= 5
