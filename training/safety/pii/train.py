"""Trains the tagger of names and places: `python -m training.safety.pii.train DIR`.

DIR is laid out like the development data: `pii.jsonl`, and `safety_benign.jsonl` for ordinary text.
An averaged structured perceptron (Collins, 2002) over the features of services/safety/pii/words.py;
what is seen of a word weighs on its own label and on those of the two words at either side.
"""

import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.safety.pii.words import BUCKETS, Known, Word, features, words
from training.safety.pii import lexicon as lexicons
from training.safety.pii.sentences import Maker, Span

OUT = Path("models/safety")
KINDS = ("PERSON", "ADDRESS", "LOCATION", "ORGANIZATION", "TITLE", "NATIONALITY", "ZIP")
LABELS = ("O", *(f"{begin}-{kind}" for kind in KINDS for begin in "BI"))
REACH = 2
_OWN = 15_000
_EPOCHS = 5
_VARIED = 4
_RARE = 3
# How the data names what the tagger calls otherwise.
_NAMES = {
    "STREET_ADDRESS": "ADDRESS",
    "GPE": "LOCATION",
    "ORG": "ORGANIZATION",
    "PREFIX": "TITLE",
    "NRP": "NATIONALITY",
    "ZIP_CODE": "ZIP",
}
_LEARNT = ("presidio_generated_large", "presidio_synth_v2", "pii_syn_nano")
_ORDINARY = (
    "banking77",
    "clinc150",
    "self_instruct",
    "humaneval",
    "mt_bench",
    "arena_hard",
    "notinject",
    "gsm8k",
)
_MAY_BE_NAMES = (
    Known.FIRST_NAME
    | Known.SURNAME
    | Known.PLACE
    | Known.COUNTRY
    | Known.NATIONALITY
    | Known.COMPANY
)

Floats = NDArray[np.float32]


class Sentence:
    """A text's words with their labels; -1 where whatever the tagger says is right."""

    def __init__(self, text: str, spans: Iterable[Span], *, free: bool = False) -> None:
        self.words = words(text)
        self.gold = [0] * len(self.words)
        self.free = free
        for start, end, name in spans:
            kind = _NAMES.get(name, name)
            if kind not in KINDS:
                continue
            label = LABELS.index(f"B-{kind}")
            for index, word in enumerate(self.words):
                if start <= word.start < end:
                    self.gold[index] = label
                    label = LABELS.index(f"I-{kind}")


def rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines."""
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def varied(folder: Path, times: int = _VARIED) -> list[Sentence]:
    """Return the rows with names in them, other names in the places of theirs."""
    maker = Maker(2)
    return [
        Sentence(*maker.varied(row["text"], row["spans"]))
        for _ in range(times)
        for row in rows(folder / "pii.jsonl")
        if row["source"] in _LEARNT
    ]


def annotated(folder: Path, sources: Sequence[str] = _LEARNT) -> list[Sentence]:
    """Return the rows with names in them, each as it is and some in lower case."""
    found = []
    for row in rows(folder / "pii.jsonl"):
        if row["source"] in sources:
            found.append(Sentence(row["text"], row["spans"]))
            lower = row["text"].lower()
            if len(lower) == len(row["text"]) and int(row["id"], 16) % 8 == 0:
                found.append(Sentence(lower, row["spans"]))
    return found


def ordinary(folder: Path) -> list[Sentence]:
    """Return texts whose names nobody marked: what may be one is left open."""
    return [
        Sentence(row["text"][:600], [], free=True)
        for row in rows(folder / "safety_benign.jsonl")
        if row["source"] in _ORDINARY
    ]


def own(count: int, seed: int = 1) -> list[Sentence]:
    """Return sentences of our own."""
    return [Sentence(text, spans) for text, spans in Maker(seed).sentences(count)]


def _allowed() -> Floats:
    """Return what may follow what: 0, or too little to win."""
    allowed = np.zeros((len(LABELS), len(LABELS)), np.float32)
    for before, first in enumerate(LABELS):
        for after, second in enumerate(LABELS):
            if second.startswith("I-") and first[1:] != second[1:]:
                allowed[before, after] = -1e9
    return allowed


ALLOWED = _allowed()


def best(emission: Floats, transition: Floats) -> list[int]:
    """Return the best path of labels (Viterbi, 1967)."""
    score = emission[0] + ALLOWED[0]
    back = []
    for row in emission[1:]:
        ways = score[:, None] + transition
        back.append(ways.argmax(0))
        score = ways.max(0) + row
    path = [int(score.argmax())]
    for step in reversed(back):
        path.append(int(step[path[-1]]))
    return path[::-1]


class Perceptron:
    """Weights by offset, bucket and label; and their sum over time, for the average."""

    def __init__(self, lexicon: dict[str, int], known: frozenset[str]) -> None:
        self._lexicon, self._known = lexicon, known
        shape = (BUCKETS, 2 * REACH + 1, len(LABELS))
        self._weights, self._late = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._moves = np.zeros((len(LABELS), len(LABELS)), np.float32)
        self._late_moves = self._moves.copy()
        self._step = 1
        self._seen: dict[str, NDArray[np.int64]] = {}

    def learn(self, sentence: Sentence) -> None:
        """Move the weights where the sentence's best path is wrong."""
        self._step += 1
        if not sentence.words:
            return
        seen = [self._of(word) for word in sentence.words]
        emission = self._emission(seen)
        guess = best(emission, self._moves + ALLOWED)
        gold = self._completed(sentence, emission) if sentence.free else sentence.gold
        if guess == gold:
            return
        for index, (right, wrong) in enumerate(zip(gold, guess, strict=True)):
            if right != wrong:
                for offset in range(-REACH, REACH + 1):
                    if 0 <= index + offset < len(seen):
                        self._move(seen[index + offset], offset + REACH, right, wrong)
        for path, change in ((gold, 1.0), (guess, -1.0)):
            for one, two in itertools.pairwise(path):
                self._moves[one, two] += change
                self._late_moves[one, two] += change * self._step

    def averaged(self) -> tuple[Floats, Floats]:
        """Return weights [bucket, offset, label] and transitions, the mean over all steps."""
        step = np.float32(self._step)
        return (
            self._weights - self._late / step,
            self._moves - self._late_moves / step + ALLOWED,
        )

    def _of(self, word: Word) -> NDArray[np.int64]:
        if word.text not in self._seen:
            self._seen[word.text] = np.array(features(word.text, self._lexicon, self._known))
        return self._seen[word.text]

    def _emission(self, seen: Sequence[NDArray[np.int64]]) -> Floats:
        each = np.stack([self._weights[ids].sum(0) for ids in seen])
        return spread(each)

    def _move(self, ids: NDArray[np.int64], offset: int, right: int, wrong: int) -> None:
        for weights, change in ((self._weights, 1.0), (self._late, float(self._step))):
            np.add.at(weights[:, offset, right], ids, change)
            np.add.at(weights[:, offset, wrong], ids, -change)

    def _completed(self, sentence: Sentence, emission: Floats) -> list[int]:
        """Return the best path that says `nothing` of every word that cannot be a name."""
        held = emission.copy()
        for index, word in enumerate(sentence.words):
            may = self._lexicon.get(word.text.lower(), 0) & _MAY_BE_NAMES
            if not may or word.text.islower():
                held[index, 1:] = -1e6
        return best(held, self._moves + ALLOWED)


def spread(each: Floats) -> Floats:
    """Return each word's scores, its neighbours' share added.

    Args:
        each: [word, offset, label]: what a word says of the word that stands `offset` before it.
    """
    total = each[:, REACH].copy()
    for offset in range(1, REACH + 1):
        total[:-offset] += each[offset:, REACH + offset]
        total[offset:] += each[:-offset, REACH - offset]
    return total


def train(
    sentences: list[Sentence], lexicon: dict[str, int], epochs: int = _EPOCHS
) -> tuple[Floats, Floats, list[str]]:
    """Return the weights, the transitions and the words that are seen as themselves."""
    counts = Counter(
        word.text.lower()
        for sentence in sentences
        for word in sentence.words
        if word.text.isalpha()
    )
    known = sorted(word for word, count in counts.items() if count >= _RARE)
    model = Perceptron(lexicon, frozenset(known))
    shuffled = random.Random(7)
    for epoch in range(epochs):
        shuffled.shuffle(sentences)
        for sentence in sentences:
            model.learn(sentence)
        print(f"epoch {epoch + 1} of {epochs}", flush=True)
    return *model.averaged(), known


def write(weights: Floats, moves: Floats, known: list[str], out: Path) -> None:
    """Write the weights as bytes, with what one step is worth."""
    step = float(np.abs(weights).max()) / 127
    np.savez_compressed(
        out / "pii.npz",
        weights=np.round(weights / step).astype(np.int8),
        step=np.float32(step),
        moves=moves,
        labels=np.array(LABELS),
        known=np.frombuffer("\n".join(known).encode(), np.uint8),
    )


def main() -> None:
    """Train, and write what the detector loads."""
    folder = Path(sys.argv[1])
    OUT.mkdir(parents=True, exist_ok=True)
    lexicon = lexicons.build()
    lexicons.write(lexicon, OUT / "pii_words.gz")
    sentences = annotated(folder) + varied(folder) + ordinary(folder) + own(_OWN)
    write(*train(sentences, lexicon), OUT)


if __name__ == "__main__":
    main()
