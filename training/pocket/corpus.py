"""The corpus: conversations drawn from the facts in `data/`, each question in one of many wordings.

To teach the model something, add a fact to a file in `data/facts/`: a name, ways of asking, one
answer. `frames` name ways of asking in `data/frames.yaml` that fit many subjects.
`python -m training.pocket.corpus` prints some conversations.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from training.pocket.grammar import wording
from training.pocket.noise import typed
from training.pocket.variation import Variation

DATA = Path(__file__).parent / "data"
SYSTEM = (
    "You are a helpful assistant.",
    "You are pocket, the model of Catenary.",
    "You are a helpful assistant. Answer briefly.",
    "Answer the user's questions.",
    "You are a friendly AI assistant that helps developers.",
    "Be concise.",
    "You answer questions about Catenary.",
    "You are an expert on distributed systems. Answer in one or two sentences.",
)
Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Fact:
    """One answer, and the patterns of the questions that it answers."""

    name: str
    asks: tuple[str, ...]
    subject: str
    answer: str

    def names(self, phrases: Mapping[str, str]) -> Mapping[str, str]:
        """Return the named patterns, `*` being this fact's subject."""
        return {**phrases, "*": self.subject}


@dataclass(frozen=True, slots=True)
class Follow:
    """A question that makes sense only after certain facts."""

    after: frozenset[str]
    ask: str
    then: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything that conversations are drawn from."""

    facts: Mapping[str, Fact]
    others: tuple[Fact, ...]
    follows: tuple[Follow, ...]
    phrases: Mapping[str, str]
    variation: Variation

    def conversation(self, chance: random.Random) -> list[Message]:
        """Draw a conversation of one to five questions, each with its answer."""
        messages: list[Message] = []
        if chance.random() < 0.2:
            messages.append({"role": "system", "content": chance.choice(SYSTEM)})
        turns = chance.choices((1, 2, 3, 4, 5), weights=(72, 13, 8, 4, 3))[0]
        last = ""
        for _ in range(turns):
            question, fact = self.turn(last, chance)
            question = typed(self.variation.varied(question, chance), chance)
            messages.append({"role": "user", "content": question})
            messages.append({"role": "assistant", "content": fact.answer})
            last = fact.name
        return messages

    def turn(self, last: str, chance: random.Random) -> tuple[str, Fact]:
        """Draw a question and its fact; `last` names the fact asked before, or is empty."""
        follows = [follow for follow in self.follows if last in follow.after]
        if follows and chance.random() < 0.7:
            follow = chance.choice(follows)
            return wording(follow.ask, self.phrases, chance), self.facts[follow.then]
        if chance.random() < 0.2:
            fact = chance.choices(self.others, weights=(12, 7, 1))[0]
        else:
            known = tuple(self.facts.values())
            # Facts that are asked in more ways are drawn more often, if less than in proportion.
            fact = chance.choices(known, weights=[len(each.asks) ** 0.4 for each in known])[0]
        return wording(chance.choice(fact.asks), fact.names(self.phrases), chance), fact


def load() -> Corpus:
    """Read the facts, the frames and the phrases in `data/`."""
    frames: Mapping[str, list[str]] = read("frames")
    other = read("other")
    phrases = read("phrases") | {
        name: options if options.startswith("(") else f"({options})"
        for name, options in other["words"].items()
    }
    topics = sorted((DATA / "facts").glob("*.yaml"))
    facts = [fact(entry, frames) for topic in topics for entry in read(f"facts/{topic.stem}")]
    kinds = [
        fact(kind | {"answer": other["answers"][kind["name"]]}, frames) for kind in other["kinds"]
    ]
    follows = [
        Follow(frozenset(entry["after"]), entry["ask"], entry["then"]) for entry in read("dialogs")
    ]
    variation = Variation.of(read("synonyms"))
    return Corpus(
        {each.name: each for each in facts}, tuple(kinds), tuple(follows), phrases, variation
    )


def fact(entry: Mapping[str, Any], frames: Mapping[str, list[str]]) -> Fact:
    """Return the fact of one entry, with its frames' patterns."""
    framed = [ask for name in entry.get("frames", ()) for ask in frames[name]]
    asks = (*framed, *entry.get("ask", ()))
    return Fact(entry["name"], asks, entry.get("subject", ""), entry["answer"].strip())


def read(name: str) -> Any:
    """Return the content of one data file."""
    return yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))


def main() -> None:
    """Print twenty conversations."""
    corpus, chance = load(), random.Random()
    for _ in range(20):
        for message in corpus.conversation(chance):
            print(f"{message['role']:>9}  {message['content']}")
        print()


if __name__ == "__main__":
    main()
