"""Denied phrases, found in linear time, and how much of a text's end may begin one."""

from collections import deque
from collections.abc import Iterable, Iterator
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

    def matches(self, folded: str) -> Iterator[Match]:
        """Give the longest phrase that ends at each character where one ends, from a beginning."""
        for end, state in enumerate(self._states(folded), 1):
            if self._longest_match[state]:
                yield Match(end - self._longest_match[state], end)

    def begun(self, folded: str) -> int:
        """Return how many folded characters at the end of a text begin a phrase."""
        last = deque(self._states(folded), maxlen=1)
        return self._depth[last[0]] if last else 0

    def _states(self, folded: str) -> Iterator[int]:
        following, fallback, state = self._next, self._fallback, 0
        for character in folded:
            while state and character not in following[state]:
                state = fallback[state]
            state = following[state].get(character, 0)
            yield state

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
