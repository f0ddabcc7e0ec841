"""Finds stretches of the system prompt in an answer."""

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from services.safety.detector import Detector, Finding, Text
from services.safety.forms.growing import END, grows_from
from services.safety.normalise import View, views

_NAME = "prompt_leak"
_CATEGORY = "system_prompt"
_LETTERS = re.compile(r"[^\W_]+")

# Letters and digits, all else being left out. Shorter stretches in common say nothing; a prompt
# that is itself shorter counts as a whole, unless it is very short.
_FEWEST, _FEWEST_WHOLE = 40, 20
# As many in common are surely no chance.
_SURE = 80
# Pieces of the prompt are looked for, so many letters apart that one is in any stretch in common.
_PIECE = 16
# Prompts that say the same again and again are compared at a few places.
_MOST_PLACES = 4
# So much of a prompt is compared.
_MOST_PROMPT = 100_000
# Letters that are sure, in forms that take a dozen characters for each.
_REACH = 1024


@dataclass(frozen=True, slots=True)
class _PromptLeak:
    prompts: Sequence["_Prompt"]
    name: str = _NAME
    threshold: float = 0.5
    reach: int = _REACH

    def find(self, text: Text) -> Sequence[Finding]:
        found = {finding for view in text.views for finding in self._found(view)}
        return sorted(found)

    def open_from(self, tail: str) -> int:
        """Tell from where on the end of a stream's text may belong to the prompt."""
        opened = grows_from(tail) if self.prompts else len(tail)
        for view in views(tail) if self.prompts and opened else ():
            letters = _Letters(view.text)
            begun = max(prompt.begun(letters.text) for prompt in self.prompts)
            # A few letters are in any prompt.
            if begun > (_PIECE if tail.endswith(END) else 0):
                start, _ = view.span(letters.origin(len(letters.text) - begun), len(view.text))
                opened = min(opened, start)
        return opened

    def _found(self, view: View) -> Iterator[Finding]:
        letters = _Letters(view.text)
        for prompt in self.prompts:
            for start, end in prompt.shared(letters.text):
                span = view.span(letters.origin(start), letters.origin(end - 1) + 1)
                sure = min(1.0, (end - start) / min(_SURE, 2 * prompt.fewest))
                yield Finding(*span, _NAME, _CATEGORY, sure)


def prompt_leak(system: Sequence[str]) -> Detector:
    """Build the detector of one call, whose system prompts these are."""
    prompts = [_Letters(text[:_MOST_PROMPT]).text for text in system]
    return _PromptLeak([_Prompt(text) for text in prompts if len(text) >= _FEWEST_WHOLE])


class _Prompt:
    """The letters of a prompt, as they are and turned in two ways, and where pieces stand."""

    def __init__(self, letters: str) -> None:
        self.text = "\n".join((letters, letters[::-1], codecs.encode(letters, "rot13")))
        self.fewest = min(_FEWEST, len(letters))
        self._places: dict[str, list[int]] = {}
        for at in range(0, len(self.text) - _PIECE + 1, self.fewest - _PIECE + 1):
            places = self._places.setdefault(self.text[at : at + _PIECE], [])
            if len(places) < _MOST_PLACES:
                places.append(at)

    def shared(self, text: str) -> Iterator[tuple[int, int]]:
        """Give the stretches of a text that stand in the prompt too, none of them short."""
        over = 0
        for at in range(len(text) - _PIECE + 1):
            places = self._places.get(text[at : at + _PIECE])
            if places is None or at < over:
                continue
            stretches = (self._stretch(text, at, place, over) for place in places)
            start, end = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
            if end - start >= self.fewest:
                yield start, end
                over = end

    def begun(self, text: str) -> int:
        """Return how many letters at the end of a text stand in the prompt together."""
        shortest, longest = 0, min(len(text), _REACH)
        while shortest < longest:
            middle = (shortest + longest + 1) // 2
            if text[-middle:] in self.text:
                shortest = middle
            else:
                longest = middle - 1
        return shortest

    def _stretch(self, text: str, at: int, place: int, least: int) -> tuple[int, int]:
        """Widen a piece that stands in both to all that does, behind what is over."""
        start, end = at, at + _PIECE
        while start > least and place > 0 and text[start - 1] == self.text[place - 1]:
            start, place = start - 1, place - 1
        while (
            end < len(text)
            and (there := place + end - start) < len(self.text)
            and text[end] == self.text[there]
        ):
            end += 1
        return start, end


class _Letters:
    """The letters and digits of a text, without regard to case."""

    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        if len(self._text) != len(text):
            self._text = "".join(map(_folded, text))
        self.text = "".join(_LETTERS.findall(self._text))

    def origin(self, position: int) -> int:
        """Return which character of the text a letter is."""
        run = bisect_right(self._runs, position, key=itemgetter(0)) - 1
        letters, start = self._runs[run]
        return start + position - letters

    @cached_property
    def _runs(self) -> list[tuple[int, int]]:
        """How many letters stand before each run of them, and where it begins."""
        runs: list[tuple[int, int]] = []
        letters = 0
        for run in _LETTERS.finditer(self._text):
            runs.append((letters, run.start()))
            letters += run.end() - run.start()
        return runs


def _folded(character: str) -> str:
    """Fold a character that stays one: places have to stay those of the text."""
    folded = character.casefold()
    return folded if len(folded) == 1 else character
