"""How many tokens a second come through Triton, the link and the mesh, beside the bare engine.

Everything is measured in one run, one after the other in each round, so that the noise of the
machine is the same for all; ratios are medians over the rounds.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import uvloop

from bench import meshes
from bench.bare import Bare
from catenary.config.v1.models_pb2 import ModelConfig, TritonTarget
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from infra.engine.card import ModelCard
from infra.engine.engine import Generation
from infra.engine.vocabulary import Vocabulary
from services.inference.backends import in_triton
from services.inference.engine import EngineRequest
from services.link import Call
from services.remote import RemoteLink, connect
from services.tracing import Tracing

_KV_CACHE_MIB = 512
_PROMPT_TOKENS = 30
_PROMPTS = 3
"""How many each stream asks, so that the engine is as busy as with callers who keep coming."""

_SPLIT, _SINGLE = 27200, 27300

Ask = Callable[[list[int], int], Coroutine[Any, Any, int]]
"""Sends one prompt, for a number of tokens; returns how many came back."""


def through_triton(channel: grpc.aio.Channel, model: Path) -> Ask:
    """Call Triton as the inference link does."""
    config = ModelConfig(name="model", path=str(model), triton=TritonTarget(model="model.v1"))
    client = in_triton(config, Vocabulary.read(model / "tokenizer.json"), channel, Tracing())

    async def ask(prompt: list[int], tokens: int) -> int:
        asked = Generation(input_ids=prompt, max_output_tokens=tokens, min_output_tokens=tokens)
        async with aclosing(client.generate(EngineRequest("", asked), Call("bench"))) as pieces:
            return sum([piece.output_tokens async for piece in pieces])

    return ask


def through_link(channel: grpc.aio.Channel, model: str = "model") -> Ask:
    """Call a link by its native RPC; the prompt is as unlike others as its token ids are."""
    link = RemoteLink("bench", channel, Tracing())

    async def ask(prompt: list[int], tokens: int) -> int:
        content = [message_pb2.ContentPart(text=" ".join(map(str, prompt[:8])))]
        request = pb.GenerateRequest(
            model=model,
            messages=[message_pb2.Message(role=message_pb2.ROLE_USER, content=content)],
            sampling=message_pb2.Sampling(max_output_tokens=tokens, min_output_tokens=tokens),
        )
        async with aclosing(link.generate(request, Call("bench"))) as events:
            return sum([event.delta.output_tokens async for event in events])

    return ask


@asynccontextmanager
async def meshed(model: Path, streams: int) -> AsyncIterator[Mapping[str, Ask]]:
    """Run a mesh of each placement before one Triton, and give the ways to its engine."""
    served: dict[str, Any] = {
        "name": "model",
        "path": str(model),
        "max_sequences": streams,
        "kv_cache_mib": _KV_CACHE_MIB,
    }
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))

        async def channel(address: str) -> grpc.aio.Channel:
            opened = connect(address, "bench", Tracing())
            running.push_async_callback(opened.close)
            await opened.channel_ready()
            return opened

        split = running.enter_context(meshes.mesh(folder, "split", _SPLIT, [served]))
        triton = meshes.triton(split)
        behind = {**served, "triton": {"model": "model.v1"}}
        single = running.enter_context(meshes.mesh(folder, "single", _SINGLE, [behind], triton))
        yield {
            "triton": through_triton(await channel(triton), model),
            "link": through_link(await channel(meshes.inference(split))),
            "single": through_link(await channel(meshes.edge(single))),
            "split": through_link(await channel(meshes.edge(split))),
        }


async def rate(ask: Ask, streams: Sequence[Sequence[list[int]]], tokens: int) -> float:
    """Return tokens per second; each stream asks its prompts one after the other."""

    async def stream(prompts: Sequence[list[int]]) -> int:
        return sum([await ask(prompt, tokens) for prompt in prompts])

    began = time.perf_counter()
    read = await asyncio.gather(*map(stream, streams))
    return sum(read) / (time.perf_counter() - began)


async def measure(model: Path, streams: Sequence[int], tokens: int, rounds: int) -> None:
    """Print one line for each number of streams: tokens per second, and the share of the bare."""
    bare = Bare(model, max(streams), _KV_CACHE_MIB)
    vocabulary = ModelCard.read(model).vocabulary
    source = random.Random(1)  # noqa: S311 - prompts
    async with meshed(model, max(streams)) as paths:
        print(f"{'streams':>8}{'bare':>12}" + "".join(f"{name:>18}" for name in paths))
        for count in streams:
            alone: list[float] = []
            through: dict[str, list[float]] = {name: [] for name in paths}
            for _ in range(rounds + 1):
                asked = [
                    [
                        [source.randrange(7, vocabulary) for _ in range(_PROMPT_TOKENS)]
                        for _ in range(_PROMPTS)
                    ]
                    for _ in range(count)
                ]
                alone.append(await asyncio.to_thread(bare.rate, asked, tokens))
                for name, ask in paths.items():
                    through[name].append(await rate(ask, asked, tokens))
            # The first round warms caches up. A round's runs are neighbours in time, so on a noisy
            # machine their ratio tells more than the ratio of the medians.
            line = f"{count:>8}{statistics.median(alone[1:]):>12,.1f}"
            for rates in through.values():
                ratios = [one / base for one, base in zip(rates[1:], alone[1:], strict=True)]
                line += f"{statistics.median(rates[1:]):>12,.1f}{statistics.median(ratios):>6.0%}"
            print(line, flush=True)


async def main() -> None:
    """Measure one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, default=meshes.POCKET["path"], help="a folder with OpenVINO's files"
    )
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    await measure(given.model, given.streams, given.tokens, given.rounds)


if __name__ == "__main__":
    uvloop.run(main())
