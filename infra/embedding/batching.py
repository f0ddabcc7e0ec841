"""Gathers the texts of concurrent callers into batches for one computing thread.

While a batch is computed, what arrives waits and makes up the next one: nobody waits for company,
and a busy model works on full batches.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from infra.embedding.errors import QueueFullError

Ids = Sequence[int]
"""The tokens of one text."""
Vectors = NDArray[np.float32]
"""One row a text."""
Compute = Callable[[Sequence[Ids]], Vectors]
"""Computes a batch; called in a thread."""

MAX_TEXTS = 32
MAX_TOKENS = 1024
"""Of a batch, padding included: more gain nothing, and whoever comes next waits for them."""

_FIRST_TOKENS_PER_S = 5000.0
# How much the newest batch weighs in the measured throughput.
_NEWEST = 0.1


@dataclass(slots=True, eq=False)
class _Job:
    """The texts of one caller."""

    texts: Sequence[Ids]
    pending: list[int]
    """The texts not yet taken, the shortest last."""
    done: asyncio.Future[None]
    vectors: dict[int, Vectors] = field(default_factory=dict[int, Vectors])

    def tokens(self) -> int:
        return sum(len(self.texts[index]) for index in self.pending)


@dataclass(slots=True)
class _Batch:
    taken: list[tuple[_Job, int]] = field(default_factory=list[tuple[_Job, int]])
    tokens: int = 0
    longest: int = 0

    def fits(self, length: int) -> bool:
        """Tell whether one more text keeps the batch small, and at most half of it padding."""
        if not self.taken:
            return True
        padded = (len(self.taken) + 1) * max(self.longest, length)
        return (
            len(self.taken) < MAX_TEXTS
            and padded <= MAX_TOKENS
            and padded <= 2 * (self.tokens + length)
        )

    def add(self, job: _Job) -> None:
        index = job.pending.pop()
        self.taken.append((job, index))
        self.tokens += len(job.texts[index])
        self.longest = max(self.longest, len(job.texts[index]))


class Batching:
    """Computes batches one after the other, for any number of callers of one event loop."""

    def __init__(self, compute: Compute, max_waiting_tokens: int) -> None:
        self._compute = compute
        self._max_waiting_tokens = max_waiting_tokens
        self.running = 0
        """The texts that are computed now."""
        self.running_tokens = 0
        self.waiting_tokens = 0
        """Of the texts that no batch has taken yet."""
        self._jobs: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, "embedding")
        self._running: asyncio.Task[None] | None = None
        self._tokens_per_s = _FIRST_TOKENS_PER_S

    @property
    def waiting(self) -> int:
        """How many callers have texts that no batch has taken yet."""
        return len(self._jobs)

    async def embed(self, texts: Sequence[Ids]) -> Vectors:
        """Return the vectors of the texts, in their order; a caller who leaves takes them back.

        Raises:
            QueueFullError: too many tokens wait; a caller who is alone is always let in.
            RuntimeError: the model failed.
        """
        if not texts:
            raise ValueError("there is no text")
        by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]), reverse=True)
        job = _Job(texts, by_length, asyncio.get_running_loop().create_future())
        tokens = job.tokens()
        if self._jobs and self.waiting_tokens + tokens > self._max_waiting_tokens:
            raise QueueFullError(math.ceil(self.waiting_tokens / self._tokens_per_s))
        self._jobs.append(job)
        self.waiting_tokens += tokens
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        try:
            await job.done
        finally:
            self._leave(job)
        return np.stack([job.vectors[index] for index in range(len(texts))])

    async def close(self) -> None:
        """Give back the thread; no call is in flight."""
        if self._running is not None:
            await self._running
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._jobs:
            batch = self._next()
            self.running, self.running_tokens = len(batch.taken), batch.tokens
            ids = [job.texts[index] for job, index in batch.taken]
            began = time.perf_counter()
            try:
                vectors = await loop.run_in_executor(self._thread, self._compute, ids)
            except RuntimeError as error:
                for job, _ in batch.taken:
                    self._fail(job, error)
                continue
            finally:
                self.running = self.running_tokens = 0
            tokens_per_s = batch.tokens / (time.perf_counter() - began)
            self._tokens_per_s += _NEWEST * (tokens_per_s - self._tokens_per_s)
            for (job, index), vector in zip(batch.taken, vectors, strict=True):
                job.vectors[index] = vector
                if len(job.vectors) == len(job.texts) and not job.done.done():
                    job.done.set_result(None)

    def _next(self) -> _Batch:
        """Take a few texts of every caller, so that a long job holds nobody up.

        Whoever is first in line gets at least one text in, and is last in line for the next batch.
        """
        batch = _Batch()
        share = max(1, MAX_TEXTS // len(self._jobs))
        for job in self._jobs:
            for _ in range(share):
                if not job.pending or not batch.fits(len(job.texts[job.pending[-1]])):
                    break
                batch.add(job)
        self.waiting_tokens -= batch.tokens
        self._jobs.rotate(-1)
        for job in {id(job): job for job, _ in batch.taken}.values():
            if not job.pending:
                self._jobs.remove(job)
        return batch

    def _fail(self, job: _Job, error: RuntimeError) -> None:
        self._leave(job)
        if not job.done.done():
            job.done.set_exception(error)

    def _leave(self, job: _Job) -> None:
        """Take back what has not been computed."""
        if job.pending:
            self.waiting_tokens -= job.tokens()
            job.pending.clear()
            self._jobs.remove(job)
