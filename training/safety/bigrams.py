"""Counts which letter follows which in English, for telling words from what is none.

    python -m training.safety.bigrams FILE...

The files are any English text; those that ship were the project's own manuals and the sentences of
the pocket model. It writes `services/safety/forms/bigrams.txt`.
"""

import math
import re
import sys
from collections import Counter
from pathlib import Path

from services.safety.forms.likeness import BIGRAMS, LETTERS

_WORD = re.compile(r"[a-z]+")
# The dearest pair: one that was hardly ever seen.
_MOST = 45


def main(files: list[Path]) -> None:
    """Count the letters of the files' words, a word's beginning and end among them."""
    pairs: Counter[str] = Counter()
    for file in files:
        for word in _WORD.findall(file.read_text(encoding="utf-8").lower()):
            pairs.update(a + b for a, b in zip(f" {word}", f"{word} ", strict=True))
    rows = [_row(pairs, first) for first in LETTERS]
    BIGRAMS.write_text("\n".join(rows) + "\n", encoding="ascii")


def _row(pairs: Counter[str], first: str) -> str:
    """Return the costs of what follows a letter, in thirds of a bit, two digits each."""
    counts = [pairs[first + second] + 0.5 for second in LETTERS]
    total = sum(counts)
    costs = (min(_MOST, round(-3 * math.log2(count / total))) for count in counts)
    return " ".join(f"{cost:2d}" for cost in costs)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
