"""Tokens per second of the bare engine, and of the same engine through Triton and the chain.

They take turns in one run.

Usage: python -m bench.engine [--streams 1 16 64] [--tokens 200] [--rounds 5]
"""

import argparse
import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import grpc
import uvloop
from tritonclient.grpc import service_pb2, service_pb2_grpc

from bench import meshes
from bench.bare import Bare
from catenary.config.v1.models_pb2 import ModelConfig
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from infra.engine.card import ModelCard
from infra.engine.engine import Generation
from infra.engine.vocabulary import Vocabulary
from infra.triton import repository, server
from services.inference.backends import in_triton
from services.inference.engine import EngineRequest, Piece
from services.inference.triton import TritonClient
from services.link import Call
from services.remote import RemoteLink, connect
from services.tracing import Tracing
from services.transport import OPTIONS

_PROMPT_TOKENS = 30
_MODEL = Path(__file__).resolve().parents[1] / "models" / "pocket"
_READY_S = 60


Ask = Callable[[list[int], int], Awaitable[int]]
"""Sends one prompt, for a number of tokens; returns how many came back."""


def through_triton(client: TritonClient) -> Ask:
    """Call Triton as the inference link does."""

    async def ask(prompt: list[int], tokens: int) -> int:
        asked = Generation(
            input_ids=prompt,
            max_output_tokens=tokens,
            min_output_tokens=tokens,
        )
        async with aclosing(client.generate(EngineRequest("", asked), Call("bench"))) as pieces:
            return sum([piece.output_tokens async for piece in pieces])

    return ask


def through_chain(channel: grpc.aio.Channel) -> Ask:
    """Call a mesh by its native RPC; the prompt is as unlike others as its token ids are."""
    link = RemoteLink("mesh", channel, Tracing())

    async def ask(prompt: list[int], tokens: int) -> int:
        text = " ".join(map(str, prompt[:8]))
        request = pb.GenerateRequest(
            model="pocket",
            messages=[
                message_pb2.Message(
                    role=message_pb2.ROLE_USER, content=[message_pb2.ContentPart(text=text)]
                )
            ],
            sampling=message_pb2.Sampling(max_output_tokens=tokens, min_output_tokens=tokens),
        )
        async with aclosing(link.generate(request, Call("bench"))) as events:
            return sum([event.delta.output_tokens async for event in events])

    return ask


async def rate(ask: Ask, prompts: list[list[int]], tokens: int) -> float:
    """Return tokens per second, one stream for each prompt."""
    began = time.perf_counter()
    read = await asyncio.gather(*(ask(prompt, tokens) for prompt in prompts))
    return sum(read) / (time.perf_counter() - began)


async def ready(channel: grpc.aio.Channel, process: subprocess.Popen[bytes]) -> None:
    """Wait until Triton serves the model."""
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    for _ in range(_READY_S * 10):
        if process.poll() is not None:
            sys.exit("tritonserver ended")
        try:
            if (await stub.ServerReady(service_pb2.ServerReadyRequest())).ready:
                return
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.1)
    sys.exit("tritonserver is not ready")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


async def measure(paths: Mapping[str, Ask], streams: list[int], tokens: int, rounds: int) -> None:
    """Print one line for each number of streams: medians over the rounds."""
    bare = Bare(_MODEL, max(streams))
    vocabulary = ModelCard.read(_MODEL).vocabulary
    source = random.Random(1)  # noqa: S311 - prompts
    print(f"{'streams':>8}{'bare tok/s':>12}" + "".join(f"{name:>18}" for name in paths))
    for count in streams:
        alone: list[float] = []
        through: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(rounds + 1):
            prompts = [
                [source.randrange(7, vocabulary) for _ in range(_PROMPT_TOKENS)]
                for _ in range(count)
            ]
            alone.append(bare.round(prompts, tokens))
            for name, ask in paths.items():
                through[name].append(await rate(ask, prompts, tokens))
        # The first round warms caches up. A round's runs are neighbours in time, so on a noisy
        # machine their ratio tells more than the ratio of the medians.
        line = f"{count:>8}{statistics.median(alone[1:]):>12,.0f}"
        for rates in through.values():
            ratio = statistics.median(
                one / base for one, base in zip(rates[1:], alone[1:], strict=True)
            )
            line += f"{statistics.median(rates[1:]):>12,.0f}{ratio:>6.0%}"
        print(line, flush=True)


async def measure_cancel(client: TritonClient, slots: int, rounds: int) -> None:
    """Print how soon a place is free after its caller has left, with every place taken."""

    async def first(tokens: int) -> AsyncGenerator[Piece, None]:
        asked = Generation(
            input_ids=[1, 4, 5],
            max_output_tokens=tokens,
            min_output_tokens=tokens,
        )
        pieces = client.generate(EngineRequest("", asked), Call("bench"))
        await anext(pieces)
        return pieces

    waits = []
    for _ in range(rounds):
        running = await asyncio.gather(*(first(1900) for _ in range(slots)))
        waiting = asyncio.create_task(first(2))
        await asyncio.sleep(0.3)
        began = time.perf_counter()
        await running[0].aclose()
        running.append(await waiting)
        waits.append((time.perf_counter() - began) * 1000)
        for pieces in running:
            await pieces.aclose()
        await asyncio.sleep(0.3)
    print(
        f"place free after a caller left, ms: {statistics.median(waits):.0f} {max(waits):.0f} max"
    )


@asynccontextmanager
async def through_meshes(folder: Path, triton: str) -> AsyncIterator[Mapping[str, Ask]]:
    """Run a mesh of each placement in front of the Triton that runs; each is called by Envoy."""
    async with AsyncExitStack() as running:
        paths = {}
        for base, placement in ((27200, "single"), (27300, "split")):
            started = meshes.mesh(folder, placement, base, triton)
            edge = meshes.edge(running.enter_context(started))
            channel = connect(edge, "bench", Tracing())
            running.push_async_callback(channel.close)
            await channel.channel_ready()
            paths[placement] = through_chain(channel)
        yield paths


async def main() -> None:
    """Start Triton, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stream-interval-ms", type=float, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        backends, models = Path(directory) / "backends", Path(directory) / "models"
        served = repository.ServedModel(
            "pocket", _MODEL, max(given.streams), 256, 512, given.stream_interval_ms / 1000
        )
        repository.write(models, [served], sys.executable, "")
        server.link_backend(backends)
        ports = server.Ports(*free_ports(3))
        log = (Path(directory) / "triton.log").open("wb")
        with (
            log,
            subprocess.Popen(  # noqa: ASYNC220 - before anything else runs
                server.command(ports, models, backends, 5),
                env=server.environment(os.environ),
                stdout=log,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                async with grpc.aio.insecure_channel(
                    f"127.0.0.1:{ports.grpc}", options=OPTIONS
                ) as channel:
                    await ready(channel, process)
                    model = ModelConfig(name="pocket", path=str(_MODEL))
                    vocabulary = Vocabulary.read(_MODEL / "tokenizer.json")
                    client = in_triton(model, vocabulary, channel, Tracing())
                    address = f"127.0.0.1:{ports.grpc}"
                    async with through_meshes(Path(directory), address) as meshed:
                        paths = {"triton": through_triton(client), **meshed}
                        await measure(paths, given.streams, given.tokens, given.rounds)
                    await measure_cancel(client, max(given.streams), 10)
            finally:
                process.terminate()


if __name__ == "__main__":
    uvloop.run(main())
