"""Packs conversations into rows of tokens, several to a row, that do not see one another."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import jinja2
import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.pocket.corpus import Corpus, Message
from training.pocket.tokenizer import ASSISTANT, BOS, EOS, TEMPLATE, special_ids

IDS = special_ids()
IGNORED = -100
OPENING_TOKENS = 14

RENDER = jinja2.Environment(autoescape=False).from_string(TEMPLATE)  # noqa: S701 - text, not HTML


def rendered(messages: list[Message]) -> str:
    """Return the text of a conversation, as the chat template writes it."""
    return RENDER.render(messages=messages, bos_token=BOS, eos_token=EOS)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of tokens, `[rows, length]`; `targets` is IGNORED where nothing is to be learnt."""

    ids: Tensor
    targets: Tensor
    positions: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Packer:
    """Draws conversations and packs them; the same seed gives the same batches."""

    corpus: Corpus
    tokenizer: Tokenizer
    rows: int
    length: int

    def batches(self, seed: int) -> Iterator[Batch]:
        """Yield batches for ever."""
        chance = random.Random(seed)
        waiting: list[list[int]] = []
        while True:
            while sum(map(len, waiting)) < self.rows * self.length:
                waiting.append(self.drawn(chance))
            rows, waiting = self.fitted(waiting)
            yield stack(rows, self.length)

    def drawn(self, chance: random.Random) -> list[int]:
        """Draw a conversation, no longer than a row."""
        text = rendered(self.corpus.conversation(chance))
        ids = cut(self.tokenizer.encode(text, add_special_tokens=False).ids, chance)
        return blurred(ids[: self.length], chance, self.tokenizer.get_vocab_size())

    def fitted(self, waiting: list[list[int]]) -> tuple[list[list[list[int]]], list[list[int]]]:
        """Put each conversation, longest first, where it fits; return rows and leftovers."""
        rows: list[list[list[int]]] = [[] for _ in range(self.rows)]
        free = [self.length] * self.rows
        left = []
        for ids in sorted(waiting, key=len, reverse=True):
            index = next((index for index, room in enumerate(free) if room >= len(ids)), None)
            if index is None:
                left.append(ids)
            else:
                rows[index].append(ids)
                free[index] -= len(ids)
        return rows, left


def cut(ids: list[int], chance: random.Random) -> list[int]:
    """Often leave out most of the last answer: to choose it is harder than to go on with it."""
    if chance.random() < 0.3:
        return ids
    start = len(ids) - ids[::-1].index(IDS[ASSISTANT])
    return ids[: start + OPENING_TOKENS]


def blurred(ids: list[int], chance: random.Random, vocabulary: int) -> list[int]:
    """Replace a few tokens that others say, so that no single one decides what is meant."""
    if chance.random() < 0.5:
        return ids
    said = [
        target == IGNORED and here >= len(IDS)
        for here, target in zip(ids, learnt(ids), strict=True)
    ]
    return [
        chance.randrange(len(IDS), vocabulary) if other and chance.random() < 0.06 else here
        for here, other in zip(ids, said, strict=True)
    ]


def stack(rows: list[list[list[int]]], length: int) -> Batch:
    """Return a batch; conversations of one row are masked from each other."""
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    targets = torch.full_like(ids, IGNORED)
    positions = torch.zeros_like(ids)
    owner = torch.full_like(ids, -1)
    for index, row in enumerate(rows):
        start = 0
        for number, conversation in enumerate(row):
            here = slice(start, start + len(conversation))
            ids[index, here] = torch.tensor(conversation)
            targets[index, here] = torch.tensor(learnt(conversation))
            positions[index, here] = torch.arange(len(conversation))
            owner[index, here] = number
            start = here.stop
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    mask = (owner[:, :, None] == owner[:, None, :]) & causal
    return Batch(ids, targets, positions, mask[:, None])


def learnt(ids: list[int]) -> list[int]:
    """Return each position's next token where an assistant speaks, and IGNORED elsewhere."""
    targets = []
    speaking = False
    for here, following in zip(ids, [*ids[1:], IGNORED], strict=True):
        speaking = here == IDS[ASSISTANT] or (speaking and here != IDS[EOS])
        targets.append(following if speaking else IGNORED)
    return targets
