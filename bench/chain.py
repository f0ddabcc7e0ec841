"""What the chain costs: time to first token and requests per second, beside a direct call.

Every path ends in the same mock Triton, whose first token comes after 5 ms. The paths take turns,
call by call, so that a noisy machine is equally noisy to all of them.

Usage: python -m bench.chain [--calls 500]
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, aclosing
from pathlib import Path

import grpc
import numpy as np
import uvloop

from bench import meshes
from catenary.config.v1.models_pb2 import ModelConfig
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from infra.engine.engine import Generation
from infra.engine.vocabulary import Vocabulary
from services import remote
from services.inference.backends import in_triton
from services.inference.engine import EngineRequest
from services.link import Call
from services.tracing import Tracing

_TRITON_PORT = 27900
_MODEL = Path(__file__).resolve().parents[1] / "models" / "pocket"
_CALLERS = 16
_TOKENS = 8
_WARM_UP = 50

Ask = Callable[[int], AsyncIterator[object]]
"""Calls one path for a number of tokens; gives something for each delta."""


def direct(channel: grpc.aio.Channel) -> Ask:
    """Call Triton as the inference link does."""
    model = ModelConfig(name="pocket", path=str(_MODEL))
    client = in_triton(model, Vocabulary.read(_MODEL / "tokenizer.json"), channel, Tracing())

    async def ask(tokens: int) -> AsyncIterator[object]:
        asked = Generation(input_ids=[1, 2, 3, 4, 5], max_output_tokens=tokens)
        async with aclosing(client.generate(EngineRequest("", asked), Call("bench"))) as pieces:
            async for piece in pieces:
                if piece.output_tokens:
                    yield piece

    return ask


def through(address: str, channel: grpc.aio.Channel) -> Ask:
    """Call a mesh by its native RPC; nothing is answered from the cache."""
    link = remote.RemoteLink(address, channel, Tracing())

    async def ask(tokens: int) -> AsyncIterator[object]:
        content = [message_pb2.ContentPart(text="What is Catenary?")]
        request = pb.GenerateRequest(
            model="pocket",
            messages=[message_pb2.Message(role=message_pb2.ROLE_USER, content=content)],
            sampling=message_pb2.Sampling(max_output_tokens=tokens),
            controls=pb.Controls(cache=pb.CacheControl(mode=pb.CacheControl.MODE_BYPASS)),
        )
        async with aclosing(link.generate(request, Call("bench"))) as events:
            async for event in events:
                if event.HasField("delta"):
                    yield event

    return ask


async def time_to_first_token(paths: Mapping[str, Ask], calls: int) -> Mapping[str, list[float]]:
    """Return the times of each path in milliseconds, one caller at a time."""
    times: dict[str, list[float]] = {name: [] for name in paths}
    for turn in range(calls + _WARM_UP):
        for name, ask in paths.items():
            began = time.perf_counter()
            first = None
            async for _ in ask(1):
                first = first or time.perf_counter()
            if turn >= _WARM_UP and first is not None:
                times[name].append((first - began) * 1e3)
    return times


async def requests_per_second(ask: Ask, calls: int) -> float:
    """Return the rate at which callers who ask again and again are answered."""
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            async for _ in ask(_TOKENS):
                pass

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    return calls / (time.perf_counter() - began)


async def measure(calls: int) -> None:
    """Start the mock and the meshes, measure, and print a table."""
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        mock = subprocess.Popen(  # noqa: ASYNC220 - before anything else runs
            [sys.executable, "-m", "bench.mock_triton", "--port", str(_TRITON_PORT)]
        )
        running.callback(mock.wait)
        running.callback(mock.terminate)
        triton = f"127.0.0.1:{_TRITON_PORT}"
        there, served = Path(folder), [meshes.POCKET]
        single = running.enter_context(meshes.mesh(there, "single", 27000, served, triton))
        split = running.enter_context(meshes.mesh(there, "split", 27100, served, triton))
        async with AsyncExitStack() as channels:

            async def connect(address: str) -> grpc.aio.Channel:
                channel = remote.connect(address, "bench", Tracing())
                channels.push_async_callback(channel.close)
                await channel.channel_ready()
                return channel

            paths = {"triton, directly": direct(await connect(triton))}
            for name, address in (
                ("single", meshes.gateway(single)),
                ("single, through envoy", meshes.edge(single)),
                ("split, through envoy", meshes.edge(split)),
            ):
                paths[name] = through(address, await connect(address))
            await _print(paths, calls)


async def _print(paths: Mapping[str, Ask], calls: int) -> None:
    times = await time_to_first_token(paths, calls)
    (base, *_) = (np.percentile(each, (50, 99)) for each in times.values())
    print(f"{'':<24}{'TTFT p50':>10}{'p99':>10}{'added p50':>11}{'p99':>10}{'requests/s':>12}")
    for name, ask in paths.items():
        middle, late = np.percentile(times[name], (50, 99))
        rate = await requests_per_second(ask, calls)
        print(
            f"{name:<24}{middle:>7.2f} ms{late:>7.2f} ms"
            f"{middle - base[0]:>8.2f} ms{late - base[1]:>7.2f} ms{rate:>12,.0f}"
        )


def main() -> None:
    """Measure, with the number of calls given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    uvloop.run(measure(parser.parse_args().calls))


if __name__ == "__main__":
    main()
