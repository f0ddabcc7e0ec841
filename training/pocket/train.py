"""Makes the pocket model from nothing: corpus, tokenizer, training, export and evaluation.

Run `python -m training.pocket.train` with the dependency group `train` installed.
"""

import argparse
import logging
import math
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from training.pocket import corpus, tokenizer
from training.pocket.batches import IGNORED, Batch, Packer
from training.pocket.convert import convert
from training.pocket.evaluate import report
from training.pocket.export import export
from training.pocket.model import Llama
from training.pocket.shape import FOLDER, Shape
from training.pocket.weights import read_weights

SEED = 20
STEPS = 4000
WARMUP_STEPS = 60
PEAK_RATES = {torch.optim.Muon: 3e-3, torch.optim.AdamW: 3e-3}
RESUMED_PEAK = 0.25
ROWS, LENGTH = 12, 256

log = logging.getLogger("pocket")


def main() -> None:
    """Train, write the model to `models/pocket` and ask it questions; exit with 1 if it errs."""
    parser = argparse.ArgumentParser(description="Train the pocket model.")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--resume", action="store_true", help="go on from the model in the folder")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.manual_seed(SEED)
    shape = Shape()
    facts = corpus.load()
    model = Llama(shape)
    if options.resume:
        words = Tokenizer.from_file(str(options.folder / "tokenizer.json"))
        stored = read_weights(options.folder)
        model.load_state_dict({name: torch.from_numpy(value) for name, value in stored.items()})
    else:
        words = tokenizer.learn(sample(facts), shape.vocabulary)
    # Going on from a trained model polishes it: other rows than the last time, and smaller steps.
    seed, peak = (SEED + options.steps, RESUMED_PEAK) if options.resume else (SEED, 1.0)
    train(model, Packer(facts, words, ROWS, LENGTH).batches(seed), options.steps, peak)
    export(model, words, options.folder)
    convert(options.folder)
    log.info("wrote %s", options.folder)
    sys.exit(report(options.folder))


def sample(facts: corpus.Corpus, conversations: int = 20_000) -> Iterator[str]:
    """Yield the text that the tokenizer is learnt from."""
    chance = random.Random(SEED)
    for _ in range(conversations):
        yield from (message["content"] for message in facts.conversation(chance))


def train(model: Llama, batches: Iterator[Batch], steps: int, peak: float) -> None:
    """Fit the answers, in bfloat16 where that is exact enough."""
    optimizers = optimizers_of(model)
    begun = time.monotonic()
    for step in range(steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * PEAK_RATES[type(optimizer)] * share(step, steps)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = answer_loss(model, next(batches))
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if step % 50 == 0 or step == steps - 1:
            log.info("step %d loss %.4f, %.0f s", step, loss.item(), time.monotonic() - begun)


def optimizers_of(model: Llama) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices inside the layers, and AdamW for embeddings and norms."""
    matrices = [each for each in model.layers.parameters() if each.dim() > 1]
    norms = [each for each in model.parameters() if each.dim() == 1]
    return [
        torch.optim.Muon(matrices, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(
            [{"params": [model.embed_tokens.weight, *norms], "weight_decay": 0.0}],
            betas=(0.9, 0.95),
            fused=True,
        ),
    ]


def share(step: int, steps: int) -> float:
    """Return the share of the peak rate: a linear rise, then a cosine to nearly nothing."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    done = (step - WARMUP_STEPS) / max(1, steps - WARMUP_STEPS)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2


def answer_loss(model: Llama, batch: Batch) -> torch.Tensor:
    """Return the mean cross-entropy of the answers' tokens."""
    hidden = model(batch.ids, batch.positions, batch.mask)
    answers = batch.targets != IGNORED
    return functional.cross_entropy(model.logits(hidden[answers]).float(), batch.targets[answers])


if __name__ == "__main__":
    main()
