"""The benchmark runs, and prints a line for every path; its figures are not judged here."""

import subprocess
import sys
from pathlib import Path


def test_the_cost_of_the_chain_is_printed() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "bench.chain", "--calls", "3"],
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    ).stdout
    for path in ("triton, directly", "single", "single, through envoy", "split, through envoy"):
        assert f"\n{path}" in shown
