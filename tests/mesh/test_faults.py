"""Parts are killed while the mesh serves: one clear error soon, and recovery without the others."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from catenary.cli import record
from tests.mesh.conftest import Mesh, start, stop

ERROR_WITHIN_S = 2.0
RECOVERY_WITHIN_S = 30.0
PARTS = ["gateway", "safety", "cache", "router", "inference", "triton", "envoy"]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    running = start(tmp_path_factory.mktemp("faults"), "split")
    yield running
    assert stop(running) == 0


def pids(mesh: Mesh) -> dict[str, int]:
    loaded = record.load(record.folder(mesh.state_dir, mesh.base))
    assert loaded is not None
    return {part.name: part.pid for part in loaded.parts}


async def ask(client: httpx.AsyncClient, mesh: Mesh) -> httpx.Response:
    return await client.post(
        f"{mesh.url}/v1/chat/completions",
        json={
            "model": "pocket",
            "messages": [{"role": "user", "content": "What is a link?"}],
            "catenary": {"cache": {"mode": "bypass"}},
        },
    )


async def until_answered(client: httpx.AsyncClient, mesh: Mesh) -> None:
    async with asyncio.timeout(RECOVERY_WITHIN_S):
        while True:
            try:
                if (await ask(client, mesh)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("part", PARTS)
async def test_a_killed_part_is_an_error_at_once_and_comes_back(split: Mesh, part: str) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        await until_answered(client, split)
        before = pids(split)
        os.kill(before[part], signal.SIGKILL)
        asked = time.monotonic()
        try:
            answer = await ask(client, split)
        except httpx.TransportError:
            assert part == "envoy", "only the edge itself may leave a caller without an answer"
        else:
            # The part may be back already; what counts is that nobody is kept waiting.
            if answer.status_code != httpx.codes.OK:
                assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
                assert answer.json()["error"]["message"]
        waited = time.monotonic() - asked
        await until_answered(client, split)
        after = pids(split)
    assert waited < ERROR_WITHIN_S
    assert {name for name in before if before[name] != after[name]} == {part}
    # A server that is killed may lose its children before its own end is seen.
    assert split.line_with("; it starts again", 10).startswith(f"{part} ")


def test_nothing_is_left_running(tmp_path: Path) -> None:
    running = start(tmp_path, "single")
    left = pids(running).values()
    assert stop(running) == 0
    for pid in left:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_running_stream_ends_before_the_mesh_does(tmp_path: Path) -> None:
    running = start(tmp_path, "split")
    body = {
        "model": "pocket",
        "stream": True,
        "messages": [{"role": "user", "content": "Tell me about the chain."}],
        "max_tokens": 900,
        "min_tokens": 900,
    }
    async with (
        httpx.AsyncClient(timeout=30) as client,
        client.stream("POST", f"{running.url}/v1/chat/completions", json=body) as answer,
    ):
        lines = answer.aiter_lines()
        await anext(lines)
        running.process.terminate()
        rest = [line async for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert stop(running) == 0


STREAMS = 32
POOLS = 8
"""How many threads, or files, may be there that were not there before: pools fill as they are used.
What leaks does so for each stream."""


async def stream(client: httpx.AsyncClient, mesh: Mesh, number: int, begun: asyncio.Event) -> str:
    """Read a long answer, and return how it ends."""
    body = {
        "model": "pocket",
        "stream": True,
        "messages": [{"role": "user", "content": f"Tell me about link {number}."}],
        "max_tokens": 900,
        "min_tokens": 900,
        "catenary": {"cache": {"mode": "bypass"}},
    }
    last = ""
    async with client.stream("POST", f"{mesh.url}/v1/chat/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            begun.set()
            last = line or last
    return last.removeprefix("data: ")


def held(mesh: Mesh) -> dict[str, tuple[int, int]]:
    """Return how many threads and open files each part has, but for what was killed."""
    counts = {}
    for name, pid in pids(mesh).items():
        if name != "triton":
            folder = Path(f"/proc/{pid}")
            threads, files = len(list((folder / "task").iterdir())), (folder / "fd").iterdir()
            counts[name] = (threads, len(list(files)))
    return counts


def shared_memory(mesh: Mesh) -> int:
    """Return how many regions the mesh's Triton has."""
    name = f"catenary-{mesh.ports.triton_grpc}-*"
    return len(list(Path("/dev/shm").glob(name)))  # noqa: S108 - Linux's


@pytest.mark.parametrize("placement", ["single", "split"])
async def test_a_triton_killed_under_many_streams_is_an_error_to_each_and_leaves_nothing(
    tmp_path: Path, placement: str
) -> None:
    running = start(tmp_path, placement)
    try:
        async with httpx.AsyncClient(timeout=60) as client:
            # Once before, so that every connection stands that there will be.
            await kill_triton_under_streams(client, running)
            before, regions = held(running), shared_memory(running)
            await kill_triton_under_streams(client, running)
            async with asyncio.timeout(RECOVERY_WITHIN_S):
                while any(  # noqa: ASYNC110 - nobody is told
                    now > was + POOLS
                    for name, counts in held(running).items()
                    for now, was in zip(counts, before[name], strict=True)
                ):
                    await asyncio.sleep(0.1)
            assert shared_memory(running) <= regions
    finally:
        assert stop(running) == 0


async def kill_triton_under_streams(client: httpx.AsyncClient, mesh: Mesh) -> None:
    begun = [asyncio.Event() for _ in range(STREAMS)]
    streams = [
        asyncio.create_task(stream(client, mesh, number, each)) for number, each in enumerate(begun)
    ]
    await asyncio.wait_for(asyncio.gather(*(each.wait() for each in begun)), RECOVERY_WITHIN_S)
    os.kill(pids(mesh)["triton"], signal.SIGKILL)
    for end in await asyncio.wait_for(asyncio.gather(*streams), RECOVERY_WITHIN_S):
        assert end == "[DONE]" or json.loads(end)["error"]["code"] == "upstream_unreachable", end
    await until_answered(client, mesh)
