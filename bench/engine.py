"""Tokens per second of the bare engine and of the same engine through Triton, in turns, in one run.

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
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import grpc
import numpy as np
import openvino
import openvino_genai
import uvloop
from tritonclient.grpc import service_pb2, service_pb2_grpc

from infra.triton import repository, server
from infra.triton.card import ModelCard
from infra.triton.contract import Value
from infra.triton.openvino import PROPERTIES
from services.inference.triton import Piece, TritonClient
from services.link import Call
from services.tracing import Tracing
from services.transport import OPTIONS

_PROMPT_TOKENS = 30
_MODEL = Path(__file__).resolve().parents[1] / "models" / "pocket"
_READY_S = 60


class Bare:
    """The engine alone: a loop of steps, each token read."""

    def __init__(self, model: Path, max_sequences: int) -> None:
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = True
        scheduler.max_num_seqs = max_sequences
        scheduler.num_kv_blocks = 4096
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            str(model), scheduler, "CPU", PROPERTIES
        )
        self._requests = 0

    def round(self, prompts: list[list[int]], tokens: int) -> float:
        """Return tokens per second."""
        handles = []
        began = time.perf_counter()
        for prompt in prompts:
            config = openvino_genai.GenerationConfig()
            config.max_new_tokens = tokens
            config.min_new_tokens = tokens
            config.apply_chat_template = False
            ids = openvino.Tensor(np.array([prompt], dtype=np.int64))
            handles.append(self._pipeline.add_request(self._requests, ids, config))
            self._requests += 1
        read = 0
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            for handle in handles:
                if handle.can_read():
                    for output in handle.read().values():
                        read += len(output.generated_ids)
        return read / (time.perf_counter() - began)


async def through_triton(client: TritonClient, prompts: list[list[int]], tokens: int) -> float:
    """Return tokens per second, one stream for each prompt."""

    async def one(prompt: list[int]) -> int:
        call = Call(request_id="bench")
        inputs: dict[str, Value] = {
            "input_ids": prompt,
            "max_output_tokens": tokens,
            "min_output_tokens": tokens,
        }
        read = 0
        async with aclosing(client.generate("pocket", inputs, call)) as pieces:
            async for piece in pieces:
                read += len(piece.token_ids)
        return read

    began = time.perf_counter()
    read = await asyncio.gather(*(one(prompt) for prompt in prompts))
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


async def measure(client: TritonClient, streams: list[int], tokens: int, rounds: int) -> None:
    """Print one line for each number of streams: medians over the rounds."""
    bare = Bare(_MODEL, max(streams))
    vocabulary = ModelCard.read(_MODEL).vocabulary
    source = random.Random(1)  # noqa: S311 - prompts
    print(f"{'streams':>8} {'bare tok/s':>12} {'triton tok/s':>13} {'ratio':>7}")
    for count in streams:
        pairs = []
        for _ in range(rounds + 1):
            prompts = [
                [source.randrange(7, vocabulary) for _ in range(_PROMPT_TOKENS)]
                for _ in range(count)
            ]
            alone = bare.round(prompts, tokens)
            pairs.append((alone, await through_triton(client, prompts, tokens)))
        # The first round warms caches up. A round's two runs are neighbours in time, so on a
        # noisy machine their ratio tells more than the ratio of the medians.
        pairs = pairs[1:]
        alone = statistics.median(pair[0] for pair in pairs)
        through = statistics.median(pair[1] for pair in pairs)
        ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
        print(f"{count:>8} {alone:>12,.0f} {through:>13,.0f} {ratio:>7.0%}")


async def measure_cancel(client: TritonClient, slots: int, rounds: int) -> None:
    """Print how soon a place is free after its caller has left, with every place taken."""

    async def first(tokens: int) -> AsyncGenerator[Piece, None]:
        inputs: dict[str, Value] = {
            "input_ids": [1, 4, 5],
            "max_output_tokens": tokens,
            "min_output_tokens": tokens,
        }
        pieces = client.generate("pocket", inputs, Call("bench"))
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
                    client = TritonClient(channel, Tracing())
                    await measure(client, given.streams, given.tokens, given.rounds)
                    await measure_cancel(client, max(given.streams), 10)
            finally:
                process.terminate()


if __name__ == "__main__":
    uvloop.run(main())
