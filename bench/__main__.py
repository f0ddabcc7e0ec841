"""`make bench`: every measurement, one after the other."""

import tempfile
from pathlib import Path

import uvloop

from bench import batching, chain, meshes, random_model, safety, throughput

_HALF_A_BILLION = 500_000_000


def main() -> None:
    """Measure what the chain costs, then what the engine gives."""
    print("What the chain costs, beside a direct call of a mock Triton:", flush=True)
    chain.main()
    print("\nTokens per second of pocket, beside the bare engine:", flush=True)
    pocket = Path(meshes.POCKET["path"])
    uvloop.run(throughput.measure(pocket, [1, 16, 64], tokens=200, rounds=5))
    print("\nTokens per second of a model of half a billion parameters:", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        random_model.make(Path(folder) / "half", _HALF_A_BILLION)
        uvloop.run(throughput.measure(Path(folder) / "half", [1, 16], tokens=32, rounds=3))
    print("\nIn-flight batching, through the inference link:", flush=True)
    uvloop.run(batching.main())
    print("\nThe detectors, for 128 tokens of clean input on one core:", flush=True)
    safety.main()


if __name__ == "__main__":
    main()
