"""Many short requests, one after the other: nothing grows. `python -m bench.soak` asks for more."""

import asyncio
import gc
import threading
from pathlib import Path
from typing import NamedTuple

import grpc

from services.inference import Inference
from tests.inference.asking import ask, asking
from tests.inference.triton import connected, served, start, stop

AT_ONCE = 32
WARM_UP, REQUESTS = 500, 1000
GROWTH = 1.05
POOLS = 3
"""Thread pools grow when they are first needed at once, and have their bounds."""
KV_CACHE_MIB = 16
"""The prefix cache fills it up, which is no leak, before the first look at the memory."""


class Held(NamedTuple):
    tasks: int
    channels: int
    threads: int
    files: int


def held() -> Held:
    """What this process, in which the link runs, holds."""
    gc.collect()
    channels = sum(isinstance(each, grpc.aio.Channel) for each in gc.get_objects())
    files = len(list(Path("/proc/self/fd").iterdir()))
    return Held(len(asyncio.all_tasks()), channels, threading.active_count(), files)


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1])


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


async def ask_many(link: Inference, count: int) -> None:
    left = iter(range(count))

    async def asker() -> None:
        for number in left:
            answer = await ask(link, asking(f"What is number {number}?", max_output_tokens=2))
            assert answer.finished.usage.output_tokens == 2

    await asyncio.gather(*(asker() for _ in range(AT_ONCE)))


async def test_requests_leave_nothing_behind(tmp_path: Path) -> None:
    triton = start(tmp_path, served(kv_cache_mib=KV_CACHE_MIB))
    below = [triton.process.pid, *triton.children()]
    try:
        async with connected(triton, "pocket") as link:
            await ask_many(link, WARM_UP)
            before, sizes = held(), {pid: (resident_kib(pid), threads(pid)) for pid in below}
            await ask_many(link, REQUESTS)
            assert held() == before
            assert [triton.process.pid, *triton.children()] == below
            for pid, (kib, count) in sizes.items():
                assert resident_kib(pid) <= kib * GROWTH
                assert threads(pid) <= count + POOLS
    finally:
        stop(triton)
