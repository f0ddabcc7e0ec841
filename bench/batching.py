"""What in-flight batching gives: the engine's places beside one place, and who need not wait."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from bench import meshes
from bench.throughput import Ask, rate, through_link
from services.remote import connect
from services.tracing import Tracing

_BASE = 27400
_STREAMS = 16
_TOKENS = 100
_ROUNDS = 5
_LONG, _SHORT = 1500, 5
_CANCELS = 10


def _prompts(count: int, turn: int) -> list[list[int]]:
    return [[turn * 1000 + index] * 8 for index in range(count)]


async def one_at_a_time(batched: Ask, alone: Ask) -> None:
    """Print the rate at 16 streams, with a place for each and with one place for all."""
    ratios, rates = [], []
    for turn in range(_ROUNDS + 1):
        prompts = _prompts(_STREAMS, turn)
        together = await rate(batched, [[prompt] for prompt in prompts], _TOKENS)
        in_turn = await rate(alone, [[prompt] for prompt in prompts], _TOKENS)
        ratios.append(together / in_turn)
        rates.append((together, in_turn))
    together, in_turn = rates[len(rates) // 2]
    print(
        f"{_STREAMS} streams: {together:,.0f} tokens/s in flight, {in_turn:,.0f} one at a time:"
        f" {statistics.median(ratios[1:]):.1f} times",
        flush=True,
    )


async def short_among_long(batched: Ask) -> None:
    """Print how long a short request takes that comes while long ones run."""
    long = [asyncio.create_task(batched(prompt, _LONG)) for prompt in _prompts(_STREAMS - 1, 90)]
    await asyncio.sleep(0.5)
    began = time.perf_counter()
    await batched([91_000] * 8, _SHORT)
    took_ms = (time.perf_counter() - began) * 1000
    still = sum(not task.done() for task in long)
    await asyncio.gather(*long)
    whole_ms = (time.perf_counter() - began) * 1000
    print(
        f"{_SHORT} tokens asked for while {_STREAMS - 1} streams of {_LONG} run: {took_ms:.0f} ms,"
        f" with {still} of them still running; the last ended after {whole_ms:,.0f} ms",
        flush=True,
    )


async def place_of_one_who_left(alone: Ask) -> None:
    """Print how soon the only place is free after its caller has left."""
    waits = []
    for turn in range(_CANCELS):
        runs = asyncio.create_task(alone([turn] * 8, _LONG))
        await asyncio.sleep(0.2)
        waiting = asyncio.create_task(alone([turn + 500] * 8, 2))
        await asyncio.sleep(0.1)
        began = time.perf_counter()
        runs.cancel()
        await waiting
        waits.append((time.perf_counter() - began) * 1000)
    print(
        f"the place of a caller who left serves another after {statistics.median(waits):.0f} ms,"
        f" {max(waits):.0f} at most",
        flush=True,
    )


async def main() -> None:
    """Start a mesh with two copies of the pocket model, of 64 places and of one, and measure."""
    models = [
        {**meshes.POCKET, "name": "batched"},
        {**meshes.POCKET, "name": "alone", "max_sequences": 1},
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        meshes.mesh(Path(folder), "split", _BASE, models) as ports,
    ):
        channel = connect(meshes.inference(ports), "bench", Tracing())
        batched, alone = (through_link(channel, name) for name in ("batched", "alone"))
        await one_at_a_time(batched, alone)
        await short_among_long(batched)
        await place_of_one_who_left(alone)
        await channel.close()


if __name__ == "__main__":
    uvloop.run(main())
