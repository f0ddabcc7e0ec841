"""Texts of concurrent callers, gathered into batches."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.embedding import batching
from infra.embedding.batching import Batching, Ids, Vectors
from infra.embedding.errors import QueueFullError


class Computing:
    """Stands for a model: gives back each text's sum and length, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[Ids]] = []
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.failing = False

    def __call__(self, texts: Sequence[Ids]) -> Vectors:
        self.batches.append(list(texts))
        self.begun.release()
        self.let.acquire()
        if self.failing:
            raise RuntimeError("a driver's words")
        return np.array([[sum(text), len(text)] for text in texts], np.float32)

    async def begins(self) -> None:
        """Wait for the next batch."""
        await asyncio.to_thread(self.begun.acquire)


def a_text(length: int, token: int = 1) -> Ids:
    return [token] * length


@pytest.fixture
def computing() -> Computing:
    return Computing()


@pytest.fixture
async def batches(computing: Computing) -> AsyncIterator[Batching]:
    built = Batching(computing, max_waiting_tokens=10_000)
    yield built
    computing.let.release(10_000)
    await built.close()


async def test_what_comes_while_a_batch_is_computed_makes_up_the_next(
    batches: Batching, computing: Computing
) -> None:
    first = asyncio.create_task(batches.embed([a_text(3)]))
    await computing.begins()
    rest = [asyncio.create_task(batches.embed([a_text(length)])) for length in (4, 5, 6)]
    computing.let.release(2)
    for length, task in zip((3, 4, 5, 6), [first, *rest], strict=True):
        np.testing.assert_array_equal(await task, [[length, length]])
    assert [len(batch) for batch in computing.batches] == [1, 3]


async def test_it_tells_what_is_computed_and_what_waits(
    batches: Batching, computing: Computing
) -> None:
    def told() -> tuple[int, int, int, int]:
        return batches.running, batches.running_tokens, batches.waiting, batches.waiting_tokens

    first = asyncio.create_task(batches.embed([a_text(3), a_text(4)]))
    await computing.begins()
    second = asyncio.create_task(batches.embed([a_text(5)] * 3))
    await asyncio.sleep(0)
    assert told() == (2, 7, 1, 15)
    computing.let.release(2)
    await asyncio.gather(first, second)
    await batches.close()
    assert told() == (0, 0, 0, 0)


async def test_a_long_job_holds_nobody_up(batches: Batching, computing: Computing) -> None:
    long = asyncio.create_task(batches.embed([a_text(8)] * 1000))
    await computing.begins()
    short = asyncio.create_task(batches.embed([a_text(8)]))
    computing.let.release(2)
    await short
    assert not long.done()
    computing.let.release(1000)
    assert len(await long) == 1000


async def test_a_text_unlike_its_neighbours_is_not_passed_over_for_ever(
    batches: Batching, computing: Computing
) -> None:
    first = asyncio.create_task(batches.embed([a_text(4)] * 500))
    await computing.begins()
    unlike = asyncio.create_task(batches.embed([a_text(200)]))
    computing.let.release(3)
    np.testing.assert_array_equal(await unlike, [[200, 200]])
    assert not first.done()
    first.cancel()


async def test_who_leaves_takes_its_texts_back(batches: Batching, computing: Computing) -> None:
    first = asyncio.create_task(batches.embed([a_text(1)]))
    await computing.begins()
    leaving = asyncio.create_task(batches.embed([a_text(7)] * 20))
    staying = asyncio.create_task(batches.embed([a_text(9)]))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    computing.let.release(2)
    await asyncio.gather(first, staying)
    assert computing.batches == [[a_text(1)], [a_text(9)]]


async def test_who_leaves_a_batch_under_way_harms_nobody(
    batches: Batching, computing: Computing
) -> None:
    leaving = asyncio.create_task(batches.embed([a_text(7)]))
    await computing.begins()
    leaving.cancel()
    await asyncio.wait([leaving])
    computing.let.release(2)
    np.testing.assert_array_equal(await batches.embed([a_text(2)]), [[2, 2]])


async def test_more_than_may_wait_is_refused_at_once(
    batches: Batching, computing: Computing
) -> None:
    first = asyncio.create_task(batches.embed([a_text(100)] * 200))
    await computing.begins()
    with pytest.raises(QueueFullError) as caught:
        await batches.embed([a_text(1)])
    assert caught.value.retry_after_s >= 1
    computing.let.release(10_000)
    await first
    assert len(await batches.embed([a_text(100)] * 200)) == 200


async def test_what_has_been_computed_waits_no_more(
    batches: Batching, computing: Computing
) -> None:
    computing.let.release(100)
    for _ in range(3):
        await batches.embed([a_text(100)] * 50)
    while computing.let.acquire(blocking=False):
        pass
    jobs = [asyncio.create_task(batches.embed([a_text(100)] * 40)) for _ in range(2)]
    await asyncio.sleep(0)
    computing.let.release(100)
    for vectors in await asyncio.gather(*jobs):
        assert len(vectors) == 40


async def test_a_batch_that_fails_fails_its_own_callers(
    batches: Batching, computing: Computing
) -> None:
    computing.failing = True
    first = asyncio.create_task(batches.embed([a_text(1)] * 100))
    await computing.begins()
    computing.let.release(1)
    with pytest.raises(RuntimeError):
        await first
    computing.failing = False
    computing.let.release(1)
    np.testing.assert_array_equal(await batches.embed([a_text(2)]), [[2, 2]])
    assert len(computing.batches) == 2


@given(st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=50), min_size=1, max_size=12))
def test_everybody_gets_their_own_vectors_in_order_and_batches_stay_small(
    callers: list[list[int]],
) -> None:
    computing = Computing()
    computing.let.release(10_000)

    async def embed_all() -> list[Vectors]:
        batches = Batching(computing, max_waiting_tokens=1_000_000)
        jobs = [
            batches.embed([a_text(length, token=caller) for length in lengths])
            for caller, lengths in enumerate(callers, start=1)
        ]
        vectors = await asyncio.gather(*jobs)
        await batches.close()
        return vectors

    for caller, vectors in enumerate(asyncio.run(embed_all()), start=1):
        expected = [[caller * length, length] for length in callers[caller - 1]]
        np.testing.assert_array_equal(vectors, expected)
    for batch in computing.batches:
        padded = len(batch) * max(map(len, batch))
        assert len(batch) <= batching.MAX_TEXTS
        assert len(batch) == 1 or padded <= batching.MAX_TOKENS
        assert padded <= 2 * sum(map(len, batch))
    assert sum(map(len, computing.batches)) == sum(map(len, callers))
