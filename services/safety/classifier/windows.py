"""Cuts a text into the windows that the encoder reads; a long text shows only its most telling."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.safety.classifier.lexical import Lexicon
from services.safety.view import View

WINDOW_BYTES = 640
"""About 128 tokens of English."""
STEP_BYTES = 512
MOST_WINDOWS = 8


# Words are weighed in parts of so many bytes, that overlap by half: a sentence or two.
_PART_BYTES, _PART_STEP = 160, 80


class Window(NamedTuple):
    """A part of a text, and what its words say."""

    start: int
    end: int
    """The characters of the raw text that it was made of."""
    text: str
    words: Sequence[float]
    """For each of JUDGEMENTS, how much the words of some part of the window speak for it."""


class _Candidate(NamedTuple):
    view: View
    content: bytes
    start: int
    end: int
    words: Sequence[float]


def spans(size: int) -> list[tuple[int, int]]:
    """Return where the windows of a text of so many bytes begin and end."""
    return _overlapping(0, size, WINDOW_BYTES, STEP_BYTES)


def words(
    content: bytes, parts: Sequence[tuple[int, int]], lexicon: Lexicon
) -> NDArray[np.float32]:
    """Return what the words of each window say, a row a window: the most of any part of it."""
    inner = [_overlapping(*part, _PART_BYTES, _PART_STEP) for part in parts]
    weighed = lexicon.weigh(content, [each for some in inner for each in some])
    firsts = np.cumsum([0, *(len(some) for some in inner[:-1])])
    most: NDArray[np.float32] = np.maximum.reduceat(weighed, firsts)
    return most


def _overlapping(start: int, end: int, size: int, step: int) -> list[tuple[int, int]]:
    starts = range(start, max(start + 1, end - size + step), step)
    return [(each, min(each + size, end)) for each in starts]


def windows(views: Sequence[View], lexicon: Lexicon, most: int = MOST_WINDOWS) -> list[Window]:
    """Return the windows of a text and its other forms; the most telling, where there are many.

    The first and the last window of the text itself are always among them. The words of all windows
    are weighed, in time linear in the text's length.
    """
    candidates: list[_Candidate] = []
    for view in views:
        content = view.text.encode("utf-8", "replace")
        parts = spans(len(content))
        for part, said in zip(parts, words(content, parts, lexicon).tolist(), strict=True):
            candidates.append(_Candidate(view, content, *part, said))
    if len(candidates) > most:
        last = len(spans(len(candidates[0].content))) - 1
        ends = [candidates[0]] if last == 0 else [candidates[0], candidates[last]]
        others = [each for each in candidates if each not in ends]
        others.sort(key=_telling, reverse=True)
        candidates = ends + others[: most - len(ends)]
    return [_window(candidate) for candidate in candidates]


def _telling(candidate: _Candidate) -> float:
    return max(candidate.words)


def _window(candidate: _Candidate) -> Window:
    """Make a window of whole characters."""
    view, content, start, end, said = candidate
    text = content[start:end].decode("utf-8", "ignore")
    before = len(content[:start].decode("utf-8", "ignore"))
    return Window(*view.span(before, before + len(text)), text, said)
