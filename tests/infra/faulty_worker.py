"""A worker like any other, with an engine that fails as its prompts ask for.

It generates the prompt's first token over and over, one a step. The last token of a prompt may be
one of `DIE`, `RAISE`, `HANG`: what then happens happens in the middle of it.
"""

import argparse
import os
import socket
import time
from pathlib import Path

from infra.engine.engine import Generation, KvCache, Progress
from infra.engine.vocabulary import Vocabulary
from infra.engine.worker import Worker
from services import config

DIE, RAISE, HANG, CACHED = range(100, 104)
BLOCKS, BLOCK_TOKENS = 32, 16
_HEALTHY_STEPS = 3
_STEP_S = 0.001


class FaultyEngine:
    """Takes a millisecond for a step."""

    name = "faulty"
    messages_per_s = 200.0

    def __init__(self) -> None:
        self._left: dict[int, Generation] = {}
        self._done: dict[int, int] = {}

    def submit(self, sequence: int, generation: Generation, choice: int) -> None:
        del choice
        self._left[sequence] = generation
        self._done[sequence] = 0

    def cancel(self, sequence: int) -> None:
        del self._left[sequence]

    def step(self) -> list[Progress]:
        time.sleep(_STEP_S)
        return [self._next(sequence) for sequence in list(self._left)]

    def kv_cache(self) -> KvCache:
        return KvCache(BLOCKS, BLOCK_TOKENS)

    def kv_cache_usage_ratio(self) -> float:
        return 0.25

    def close(self) -> None:
        pass

    def _next(self, sequence: int) -> Progress:
        generation = self._left[sequence]
        self._done[sequence] += 1
        done = self._done[sequence]
        fault = generation.input_ids[-1]
        if done > _HEALTHY_STEPS:
            _fail(fault)
        is_over = done == generation.max_output_tokens
        if is_over:
            del self._left[sequence]
        cached = len(generation.input_ids) - 1 if fault == CACHED and done == 1 else 0
        return Progress(
            sequence,
            [generation.input_ids[0]],
            [0.0],
            "length" if is_over else None,
            cached_input_tokens=cached,
        )


def _fail(fault: int) -> None:
    if fault == DIE:
        os._exit(9)
    if fault == RAISE:
        raise RuntimeError("a fault of the engine")
    if fault == HANG:
        time.sleep(3600)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--broken", type=Path, required=True, help="while it is there, cannot load")
    given = parser.parse_args()
    if given.broken.exists():
        time.sleep(0.05)
        raise SystemExit("cannot load")
    vocabulary = Vocabulary.read(Path(config.POCKET.path) / "tokenizer.json")
    with socket.socket(fileno=given.socket) as peer:
        Worker(FaultyEngine(), vocabulary, peer, interval_s=0.005).run()


if __name__ == "__main__":
    main()
