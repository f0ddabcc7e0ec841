"""Makes the safety link's classifier from a folder of labelled rows and our own wordings.

Run `python -m training.safety.train DIR` with the dependency group `train` installed. A fifth of
the rows is kept apart: on it the thresholds are set. With `--leave-out` no model is written, and
what is told is how much of the sources named a model finds that has never seen any of them.
"""

import argparse
import logging
import random
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from infra.embedding import package
from services.safety.classifier.categories import JUDGEMENTS
from services.safety.classifier.stored import FOLDER, Mixture, Stored
from services.safety.evaluation.figures import reached
from training.safety import calibration, export, learning, lexicon, written
from training.safety.calibration import Judged
from training.safety.encoder import Encoder
from training.safety.generated import Wordings
from training.safety.prepared import Prepared, prepare
from training.safety.rows import examples

SEED = 7
SEEN = 60_000
"""How many examples the encoder sees."""
OWN = {"attacks": 3500, "benign": 3000, "harm": 900, "documents": 3500}
"""How many examples are put together of our own phrases."""
DRAWN = 2
"""How often the choices of what we have written out are drawn."""
PARTS = 5
"""One part of so many is kept apart."""
_MEASURED = 300

log = logging.getLogger("safety")


def main() -> None:
    """Train, set the thresholds, and write the model; or tell what is found of some sources."""
    parser = argparse.ArgumentParser(description="Train the safety link's classifier.")
    parser.add_argument("data", type=Path, help="the folder of labelled rows")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--seen", type=int, default=SEEN)
    parser.add_argument(
        "--leave-out", nargs="*", metavar="SOURCE", help="sources not to learn from"
    )
    parser.add_argument("--start", type=Path, help="the folder of a model to go on from")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tokenizer = Tokenizer.from_file(str(package.folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    rows = prepare(examples(options.data), tokenizer)
    if options.leave_out:
        apart = [row for row in rows if row.example.source in options.leave_out]
    else:
        apart = [row for row in rows if zlib.crc32(row.example.cluster.encode()) % PARTS == 0]
    held = {id(row) for row in apart}
    learnt = with_ours([row for row in rows if id(row) not in held], tokenizer)
    words = lexicon.fit(learnt)
    start = Stored.read(options.start).weights if options.start else {}
    encoder = learning.train(learnt, options.seen, SEED, start)
    judged = judge(encoder, words, apart)
    mixtures = {name: calibration.mixture(judged, name) for name in JUDGEMENTS}
    thresholds = calibration.thresholds(judged, mixtures)
    for name in JUDGEMENTS:
        tell(judged, name, mixtures[name], thresholds[name])
    if not options.leave_out:
        windows = [tokens for row in learnt[:_MEASURED] for tokens in row.tokens]
        options.folder.mkdir(parents=True, exist_ok=True)
        export.stored(encoder, words, windows, mixtures, thresholds).write(options.folder)
        log.info("wrote %s", options.folder)


def with_ours(rows: Sequence[Prepared], tokenizer: Tokenizer) -> list[Prepared]:
    """Return rows with our own texts, some of which are put together with parts of the rows."""
    wordings = Wordings(SEED, [row.example for row in rows])
    ours = [*wordings.examples(**OWN)]
    for seed in range(DRAWN):
        ours += written.examples(random.Random(seed))
    return [*rows, *prepare({each.text: each for each in ours}.values(), tokenizer)]


def judge(encoder: Encoder, words: NDArray[np.float32], rows: Sequence[Prepared]) -> list[Judged]:
    """Return the logits of the windows of rows."""
    logits = iter(learning.judge(encoder, [tokens for row in rows for tokens in row.tokens]))
    return [
        Judged(
            row.example,
            np.stack([next(logits) for _ in row.windows]),
            np.stack([lexicon.weigh(words, window) for window in row.windows]),
        )
        for row in rows
    ]


def tell(judged: Sequence[Judged], name: str, mixed: Mixture, threshold: float) -> None:
    """Log how many rows of each source reach a threshold."""
    log.info("%s: threshold %.3f, %s", name, threshold, mixed)
    by_source: dict[tuple[float, str], list[Judged]] = {}
    for each in judged:
        if name in each.example.targets and each.example.weight:
            key = each.example.targets[name], each.example.source
            by_source.setdefault(key, []).append(each)
    for (label, source), some in sorted(by_source.items()):
        share = reached(calibration.scores(some, mixed, name), threshold)
        log.info("  %d %s %s", label, source, share)


if __name__ == "__main__":
    main()
