"""Other words for the same question: synonyms, words slipped in, a sentence before or after."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Variation:
    """Varies questions by what `data/synonyms.yaml` lists."""

    groups: Mapping[str, Sequence[str]]
    known: re.Pattern[str]
    fillers: Sequence[str]
    before: Sequence[str]
    after: Sequence[str]

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> "Variation":
        """Return the variation that a parsed `synonyms.yaml` lists."""
        groups = {phrase: group for group in listed["same"] for phrase in group}
        longest_first = sorted(groups, key=len, reverse=True)
        known = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")
        return cls(groups, known, listed["fillers"], listed["before"], listed["after"])

    def varied(self, text: str, chance: random.Random) -> str:
        """Return `text` in other words, or as it is."""
        if chance.random() < 0.35:
            text = self.known.sub(lambda found: self.other(found[0], chance), text)
        while chance.random() < 0.15:
            words = text.split(" ")
            words.insert(chance.randint(1, len(words)), chance.choice(self.fillers))
            text = " ".join(words)
        if chance.random() < 0.08:
            text = f"{chance.choice(self.before)} {text}"
        if chance.random() < 0.04:
            text = f"{text}. {chance.choice(self.after)}"
        return text

    def other(self, phrase: str, chance: random.Random) -> str:
        """Return `phrase`, or another of its group."""
        return chance.choice(self.groups[phrase]) if chance.random() < 0.5 else phrase
