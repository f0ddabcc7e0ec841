"""What the detectors cost: 128 tokens of clean input, on one core.

Usage: python -m bench.safety [--texts 300]
"""

import argparse
import os
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from infra.embedding import package
from infra.embedding.tokenizer import read_tokenizer
from services.safety import policy
from services.safety.detector import Source, Text
from services.safety.profile import Rule

_TOKENS = 128
_WARM_UP = 20
_EVERY_DETECTOR = Path(__file__).with_name("safety.yaml")

_SENTENCES = (
    "Our allotment lost the roof of its shed in last week's storm.",
    "The committee would like to rebuild it before the frost arrives.",
    "We have about forty metres of timber left over from the fence.",
    "Two of the volunteers know how to use a saw, and one can read a plan.",
    "Could you suggest a simple plan that keeps the rain out and lets some light in?",
    "Please also say which jobs need two people, and how long each may take.",
    "The old door still closes, but its hinges are loose and the paint has gone.",
    "What should we buy first, so that nobody has to drive to town twice?",
    "In summer the bench by the pond is where most of us drink our tea.",
    "A short list is better than a long one, since half of us forget our glasses.",
    "The beans along the southern wall did well this year, the pumpkins less so.",
    "If the ground stays wet until spring, would a floor of gravel do?",
)


def main() -> None:
    """Print the median and the 99th percentile in milliseconds, by detector and together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=300)
    texts = parser.parse_args().texts
    # Before the models are loaded: their threads stay where they begin.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    clean = _clean(read_tokenizer(package.folder() / "tokenizer.json"))
    for file in (policy.STANDARD, _EVERY_DETECTOR):
        profile = next(iter(policy.load(file).profiles.values()))
        rules = profile.rules_for("input")
        # Injection and harm share one pass of the classifier, which counts for the first of them.
        _show(profile.name, rules, _measured(rules, islice(clean, _WARM_UP + texts)))


def _clean(tokenizer: Tokenizer) -> Iterator[str]:
    """Give texts of 128 tokens; each another one, as judgements are remembered."""
    shuffled = random.Random(0)  # noqa: S311 - no secret
    while True:
        text = " ".join(shuffled.sample(_SENTENCES, len(_SENTENCES)))
        # The last token of the model's is none of the text's.
        end = tokenizer.encode(text).offsets[_TOKENS - 2][1]
        yield text[:end]


def _measured(rules: Sequence[Rule], texts: Iterable[str]) -> NDArray[np.float64]:
    """Return milliseconds, a row a text and a column a rule."""
    rows: list[list[float]] = []
    for raw in texts:
        text, row = Text(raw, Source.USER), list[float]()
        for rule in rules:
            began = time.perf_counter()
            rule.judged(text)
            row.append(1000 * (time.perf_counter() - began))
        rows.append(row)
    return np.array(rows[_WARM_UP:])


def _show(name: str, rules: Sequence[Rule], spent: NDArray[np.float64]) -> None:
    names = [*(rule.kind for rule in rules), "together"]
    print(f"\n{name}, ms{'p50':>20}{'p99':>8}{'best':>8}")
    for kind, column in zip(names, (*spent.T, spent.sum(axis=1)), strict=True):
        p50, p99 = np.percentile(column, [50, 99])
        print(f"  {kind:<15}{p50:>{len(name) + 7}.2f}{p99:>8.2f}{column.min():>8.2f}")


if __name__ == "__main__":
    main()
