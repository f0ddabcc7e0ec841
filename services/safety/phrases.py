"""Denied phrases, found in linear time in text that comes whole or in pieces."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """Where a phrase stands in a folded text."""

    start: int
    end: int


class Phrases:
    """The automaton of Aho and Corasick (1975) over case-folded phrases; never changes once built.

    Its state after a text stands for the longest end of the text that begins a phrase.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._depth = [0]
        self._longest_match = [0]
        for phrase in phrases:
            self._add(phrase.casefold())
        self._fallback = self._link()

    def __bool__(self) -> bool:
        return len(self._next) > 1

    def depth(self, state: int) -> int:
        """Return how many folded characters at the end of the text begin a phrase."""
        return self._depth[state]

    def scan(self, state: int, folded: str) -> tuple[int, Match | None]:
        """Read on from a state (0 at a text's beginning), up to the first phrase that ends.

        Of several phrases that end together the longest counts. Positions are relative to
        `folded`: a phrase that began in an earlier piece starts below 0.
        """
        following, fallback, longest_match = self._next, self._fallback, self._longest_match
        for position, character in enumerate(folded):
            while state and character not in following[state]:
                state = fallback[state]
            state = following[state].get(character, 0)
            if longest_match[state]:
                end = position + 1
                return state, Match(end - longest_match[state], end)
        return state, None

    def _add(self, phrase: str) -> None:
        state = 0
        for character in phrase:
            if character not in self._next[state]:
                self._next[state][character] = len(self._next)
                self._next.append({})
                self._depth.append(self._depth[state] + 1)
                self._longest_match.append(0)
            state = self._next[state][character]
        self._longest_match[state] = self._depth[state]

    def _link(self) -> list[int]:
        """Find where each state falls back to, and what phrases end inside longer beginnings."""
        fallback = [0] * len(self._next)
        waiting = deque(self._next[0].values())
        while waiting:
            state = waiting.popleft()
            self._longest_match[state] = (
                self._longest_match[state] or self._longest_match[fallback[state]]
            )
            for character, child in self._next[state].items():
                shorter = fallback[state]
                while shorter and character not in self._next[shorter]:
                    shorter = fallback[shorter]
                fallback[child] = self._next[shorter].get(character, 0)
                waiting.append(child)
        return fallback
