"""`make bench`: every measurement, one after the other."""

import sys

import uvloop

from bench import chain, engine


def main() -> None:
    """Measure what the chain costs, then what the engine gives."""
    print("What the chain costs, beside a direct call of a mock Triton:", flush=True)
    chain.main()
    print("\nTokens per second of pocket, beside the bare engine:", flush=True)
    sys.exit(uvloop.run(engine.main()))


if __name__ == "__main__":
    main()
