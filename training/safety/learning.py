"""Trains the encoder on examples, and judges windows with it."""

import logging
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from infra.embedding import package, weights
from infra.embedding.shape import Shape
from services.safety.classifier.categories import CATEGORIES, JUDGEMENTS, OUTPUTS
from training.safety.encoder import Encoder
from training.safety.prepared import Prepared, shares

BATCH = 32
RATE, HEAD_RATE = 2e-4, 1e-3
SMOOTHING = 0.03
# How much the outputs weigh: what is told of a text, its categories, its severity.
_WEIGHTS = torch.tensor([1.0] * len(JUDGEMENTS) + [0.2] * len(CATEGORIES) + [0.1])
# How many batches are put in order of length together.
_SORTED = 16

# So many tokens of a window are learnt from: its beginning, at a part of the cost.
_LEARNT = 96
# How often the first window is what is learnt of a text.
_FIRST = 0.4
# How often a token is hidden, so that no single word tells everything.
_HIDDEN = 0.05
_MASK, _SPECIAL = 103, 999

log = logging.getLogger("safety")

Start = Mapping[str, NDArray[np.float32]]
"""Parameters by name, none for a model made anew."""
Batch = tuple[Tensor, Tensor, Tensor]
"""Tokens, where there are tokens, and targets."""


def train(prepared: Sequence[Prepared], seen: int, seed: int, start: Start) -> Encoder:
    """Return an encoder that has seen so many examples, drawn by how much each counts.

    It begins as the base is, but for the parameters in `start`.
    """
    torch.manual_seed(seed)
    folder = package.folder()
    encoder = Encoder(Shape.read(folder), weights.read(folder / "model.safetensors"))
    given = {name: torch.from_numpy(value) for name, value in start.items()}
    encoder.load_state_dict(encoder.state_dict() | given)
    head = list(encoder.head.parameters())
    body = [value for value in encoder.encoder.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": RATE}, {"params": head, "lr": HEAD_RATE}], weight_decay=0.02
    )
    steps = seen // BATCH
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share(step, steps))
    encoder.train()
    begun, total = time.monotonic(), 0.0
    for step, (ids, mask, targets) in enumerate(_batches(prepared, steps, seed)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = encoder(ids, mask)
        value = loss(logits.float(), targets)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(body + head, 1.0)
        optimizer.step()
        schedule.step()
        total += value.item()
        if (step + 1) % 50 == 0:
            log.info(
                "step %d of %d: loss %.3f, %.0f s",
                step + 1,
                steps,
                total / 50,
                time.monotonic() - begun,
            )
            total = 0.0
    return encoder.eval()


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return how far the outputs are from what is known."""
    known = ~targets.isnan()
    wanted = targets.nan_to_num(0.0)
    binary = functional.binary_cross_entropy_with_logits(
        logits[:, :-1], wanted[:, :-1].clamp(SMOOTHING, 1 - SMOOTHING), reduction="none"
    )
    severity = functional.smooth_l1_loss(logits[:, -1], wanted[:, -1], reduction="none")
    losses = torch.cat([binary, severity[:, None]], 1) * _WEIGHTS * known
    return losses.sum() / len(targets)


@torch.inference_mode()
def judge(encoder: Encoder, windows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Return the logits of windows, given as tokens: a row a window."""
    logits = np.empty((len(windows), len(OUTPUTS)), np.float32)
    order = sorted(range(len(windows)), key=lambda index: len(windows[index]))
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        ids, mask = _padded([windows[index] for index in chosen])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits[chosen] = encoder(ids, mask).float().numpy()
    return logits


def _batches(prepared: Sequence[Prepared], steps: int, seed: int) -> Iterator[Batch]:
    chance = random.Random(seed)
    cumulated = np.cumsum(shares(prepared)).tolist()
    while steps:
        count = min(steps, _SORTED)
        drawn = chance.choices(prepared, cum_weights=cumulated, k=count * BATCH)
        windows = sorted(
            ((_window(each, chance), each.targets) for each in drawn), key=lambda pair: len(pair[0])
        )
        parts = [windows[start : start + BATCH] for start in range(0, len(windows), BATCH)]
        chance.shuffle(parts)
        for part in parts:
            ids, mask = _padded([tokens for tokens, _ in part])
            hidden = (torch.rand(ids.shape) < _HIDDEN) & (ids > _SPECIAL)
            ids = ids.masked_fill(hidden, _MASK)
            yield ids, mask, torch.from_numpy(np.stack([targets for _, targets in part]))
        steps -= count


def _window(each: Prepared, chance: random.Random) -> Sequence[int]:
    """Choose a window: a text's beginning tells most."""
    index = each.telling[0] if chance.random() < _FIRST else chance.choice(each.telling)
    return each.tokens[index][:_LEARNT]


def _padded(windows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, windows))
    ids = torch.zeros(len(windows), longest, dtype=torch.int64)
    for row, tokens in enumerate(windows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    lengths = torch.tensor([len(tokens) for tokens in windows])
    return ids, torch.arange(longest) < lengths[:, None]


def _share(step: int, steps: int) -> float:
    warm = max(1, steps // 15)
    if step < warm:
        return (step + 1) / warm
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, steps - warm))
