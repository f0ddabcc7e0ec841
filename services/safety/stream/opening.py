"""How much of a text's end has to wait, because a finding may begin there that is not over yet.

A detector may tell it itself, by a method `open_from(tail: str) -> int`: the first character of a
tail from which on something may stand that is found only with what follows; the tail's length when
there is nothing. A tail ends behind a blank, or wherever a very long word was cut, or with `END`
where no more may come. Some answers serve several detectors, and stand here. A detector that tells
nothing has its reach waited for.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from services.safety.detector import Detector

Opening = Callable[[str], int]
"""Returns where at the end of a tail a finding may be growing, or the tail's length."""

_LEAST_STRIDE = 16
_LETTER_CHARS = 8
"""Characters that hold whole letters in any encoding without signs between them."""

# Where words are written without blanks, every character is one.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3001-\u303f\u3040-\u30ff\u3400-\u9fff\uff01-\uff5e]+"
)
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W_]")
_SENTENCE_END = (".", "!", "?", ";", ":")
_ABBREVIATION_CHARS = 5
"""A word that is shorter, full stop included, may go on behind it: `Dr.`, `Ave.`"""

_BETWEEN_NAMES = frozenset(
    re.findall(
        r"\w+",
        "a al and apt bin da das de del della der di do dos du e el et ibn la las le los no of rd "
        "st the und van von y zu",
    )
)
_WORDS_AFTER_NUMBER = 2
"""How many words of any kind a number may draw in: `12 old street`, `3 de marzo 2001`."""

_MOST_BLANKS = 2

_LINK = re.compile(
    r"\[[^\]\n]*\Z|\[[^\]\n]*\](?:\([^)\n]*|\[[^\]\n]*|:\s*\S*)?\Z|<[A-Za-z/!][^>]*\Z"
)


def opening(detectors: Sequence[Detector]) -> Opening:
    """Return what tells how much of an answer's end waits for all of these."""
    asked = [(_told_by(detector), detector.reach) for detector in detectors if detector.reach]

    def open_from(tail: str) -> int:
        size = opened = len(tail)
        for told, reach in asked:
            at = told(tail)
            if at < opened:
                # Whatever begins before the reach is over.
                over = _between_letters(tail, size - reach) if size >= reach + stride(reach) else 0
                opened = min(opened, max(at, over))
                if not opened:
                    return 0
        return opened

    return open_from


def _between_letters(tail: str, position: int) -> int:
    """Return the last position before one at which what is encoded may be cut."""
    start = position
    while start and tail[start - 1].isalnum():
        start -= 1
    return position - (position - start) % _LETTER_CHARS


def stride(reach: int) -> int:
    """Return how much must be free at once where the reach is waited for.

    Each character is judged again as often as strides go into the reach: a few times.
    """
    return max(_LEAST_STRIDE, reach // 4)


def last_word(tail: str) -> int:
    """Wait for the word that is not over."""
    start = len(tail)
    for word in _WORD.finditer(tail):
        start = word.start() if word.end() == len(tail) else start
    return start


def joined_words(tail: str) -> int:
    """Wait for numbers and names whose next word may belong to them."""
    words = list(_WORD.finditer(tail))
    opened = end = len(tail)
    drawn_in = 0
    for match in reversed(words):
        word = match[0]
        if end - match.end() > _MOST_BLANKS:
            break
        has_digit = _DIGIT.search(word) is not None
        if not has_digit and len(word) >= _ABBREVIATION_CHARS and word.endswith(_SENTENCE_END):
            break
        if has_digit or match.end() == len(tail):
            opened, drawn_in = match.start(), 0
        elif word.lower() != word:
            if drawn_in:
                break
            opened = match.start()
        elif word not in _BETWEEN_NAMES and _LETTER.search(word):
            drawn_in += 1
            if drawn_in > _WORDS_AFTER_NUMBER:
                break
        end = match.start()
    return opened


def open_link(tail: str) -> int:
    """Wait for a link, an image or a tag that is not closed."""
    if "[" not in tail and "<" not in tail:
        return last_word(tail)
    match = _LINK.search(tail)
    return match.start() if match else last_word(tail)


_TOLD: Mapping[str, Opening] = {
    "characters": last_word,
    "links": open_link,
    "pii": joined_words,
    "secrets": last_word,
}
"""For detectors that tell nothing, by their names."""


def _told_by(detector: Detector) -> Opening:
    told: Opening | None = getattr(detector, "open_from", None)
    return told or _TOLD.get(detector.name, _waits_for_all)


def _waits_for_all(_tail: str) -> int:
    return 0
