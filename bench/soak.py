"""An hour's worth of requests in miniature, through a whole mesh: does anything grow?

Prints, for each process of the mesh, its memory, threads and open files after a tenth of the
requests and after all of them. Ends with 1 if the memory of one has grown by more than it may, if
one has more threads or open files, or if a request failed.

Usage: python -m bench.soak [--requests 20000] [--placement single]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import grpc
import uvloop

from bench import meshes
from catenary.cli import record
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.link import Call
from services.remote import RemoteLink, connect
from services.tracing import Tracing

_MODEL = {**meshes.POCKET, "kv_cache_mib": 16}
"""The prefix cache grows until the KV cache is full; this one is full soon."""
_BASE = 27400
_AT_ONCE = 64
_WARM_UP = 0.1
_GROWTH = 0.05
_SETTLE_S = 5.0
_POOLS = 3
"""Thread pools grow when they are first needed at once, and have their bounds."""


class Held(NamedTuple):
    """What a process holds."""

    rss_mib: float
    threads: int
    files: int


def held(pid: int) -> Held:
    """Return what a process holds now."""
    folder = Path(f"/proc/{pid}")
    lines = (folder / "status").read_text(encoding="utf-8").splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    return Held(
        rss_mib=int(status["VmRSS"].split()[0]) / 1024,
        threads=int(status["Threads"]),
        files=len(list((folder / "fd").iterdir())),
    )


def processes(mesh: record.MeshRecord) -> dict[str, int]:
    """Return the processes of a mesh, those that its parts have started among them."""
    found = {"supervisor": mesh.pid}
    for part in mesh.parts:
        found[part.name] = part.pid
        found |= _below(part.name, part.pid)
    return found


def _below(name: str, pid: int) -> dict[str, int]:
    found = {}
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listing.read_text().split()):
            program = Path(f"/proc/{child}/comm").read_text().strip()
            label = f"{name} > {program}"
            found[label] = child
            found |= _below(label, child)
    return found


async def ask(channel: grpc.aio.Channel, number: int) -> None:
    """Ask one question that nobody has asked, for two tokens."""
    link = RemoteLink("mesh", channel, Tracing())
    part = message_pb2.ContentPart(text=f"What is number {number}?")
    request = pb.GenerateRequest(
        model="pocket",
        messages=[message_pb2.Message(role=message_pb2.ROLE_USER, content=[part])],
        sampling=message_pb2.Sampling(max_output_tokens=2),
    )
    # Nothing is stored, or the cache would grow until it is full, as it should.
    request.controls.cache.mode = pb.CacheControl.MODE_BYPASS
    async with aclosing(link.generate(request, Call("soak"))) as events:
        async for _ in events:
            pass


async def ask_many(channel: grpc.aio.Channel, numbers: range) -> None:
    """Ask as many questions, so many of them at once."""
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            await ask(channel, number)

    async with asyncio.TaskGroup() as workers:
        for _ in range(_AT_ONCE):
            workers.create_task(worker())


async def measure(
    edge: str, mesh: record.MeshRecord, requests: int
) -> tuple[Mapping[str, Held], Mapping[str, Held]]:
    """Return what every process holds after a tenth of the requests, and after all."""
    warm_up = int(requests * _WARM_UP)
    counted = []
    async with connect(edge, "soak", Tracing()) as channel:
        await channel.channel_ready()
        for numbers in (range(warm_up), range(warm_up, requests)):
            began = time.perf_counter()
            await ask_many(channel, numbers)
            rate = len(numbers) / (time.perf_counter() - began)
            print(f"{len(numbers)} requests, {rate:,.0f} a second", flush=True)
            # Threads and connections that are no longer needed end a moment later.
            await asyncio.sleep(_SETTLE_S)
            counted.append({name: held(pid) for name, pid in processes(mesh).items()})
    return counted[0], counted[1]


def judge(before: Mapping[str, Held], after: Mapping[str, Held]) -> bool:
    """Print what each process held and holds; return whether nothing has grown."""
    print(f"{'process':<36}{'MiB':>16}{'threads':>12}{'files':>12}")
    is_flat = before.keys() == after.keys()
    for name, was in before.items():
        now = after.get(name, Held(0, 0, 0))
        growth = now.rss_mib / was.rss_mib - 1
        grew = growth > _GROWTH or now.threads > was.threads + _POOLS or now.files > was.files
        is_flat = is_flat and not grew
        print(
            f"{name:<36}{was.rss_mib:>8.0f} {growth:>+7.1%}{was.threads:>6} {now.threads:>5}"
            f"{was.files:>6} {now.files:>5}{'  grew' if grew else ''}"
        )
    return is_flat


async def main() -> int:
    """Run a mesh, ask, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--placement", choices=["single", "split"], default="single")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        with meshes.mesh(folder, given.placement, _BASE, [_MODEL]) as listens:
            mesh = record.load(record.folder(folder, _BASE))
            assert mesh is not None  # noqa: S101 - it has just said that it is ready
            before, after = await measure(meshes.edge(listens), mesh, given.requests)
    return 0 if judge(before, after) else 1


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
