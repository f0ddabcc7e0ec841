"""The CPU engine by itself: what it does when its KV cache is overcommitted."""

from pathlib import Path

from infra.engine.engine import Generation
from infra.engine.openvino import OpenVinoEngine
from services import config

MIB = 1
STEPS = 5000


def test_a_sequence_that_the_kv_cache_cannot_hold_ends_and_the_engine_does_not() -> None:
    engine = OpenVinoEngine(Path(config.POCKET.path), max_sequences=4, kv_cache_mib=MIB)
    cache = engine.kv_cache()
    holds = cache.blocks * cache.block_tokens
    assert holds < 1000
    engine.submit(0, Generation(input_ids=[5] * 10, max_output_tokens=holds * 2), 0)
    engine.submit(1, Generation(input_ids=[6] * (holds + 100), max_output_tokens=1), 0)
    ends = until_ended(engine, {0, 1})
    assert "out_of_memory" in ends.values()
    engine.submit(2, Generation(input_ids=[7] * 10, max_output_tokens=3, min_output_tokens=3), 0)
    assert until_ended(engine, {2}) == {2: "length"}
    assert engine.kv_cache_usage_ratio() <= 1


def until_ended(engine: OpenVinoEngine, sequences: set[int]) -> dict[int, str]:
    ends: dict[int, str] = {}
    for _ in range(STEPS):
        for progress in engine.step():
            if progress.finish_reason is not None:
                ends[progress.sequence] = progress.finish_reason
        if ends.keys() >= sequences:
            return ends
    raise AssertionError(f"{sequences - ends.keys()} have not ended")
