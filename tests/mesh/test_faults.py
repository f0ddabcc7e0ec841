"""Parts are killed while the mesh serves: one clear error soon, and recovery without the others."""

import asyncio
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
