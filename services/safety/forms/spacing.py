"""Joins letters that are set apart: `s p a c e d`, `d.o.t.t.e.d`."""

import re

from services.safety.view import Part

# Every other character is a blank; of the rest, a white one stands between words.
_SPACED = re.compile(r"(?<!\S)\S(?: (?:\s )?\S){4,}(?!\S)")
# Every other character is the same sign.
_DOTTED = re.compile(r"(?<!\w)\w(?:([._*·•|/~+-])\w)(?:\1\w)+(?!\w)")
_FEWEST_LETTERS = 5


def joined(text: str) -> list[Part]:
    """Return the runs of single letters, each joined; none where there are too few letters."""
    parts = [
        Part(run.start(), run.end(), run[0][::2])
        for pattern in (_SPACED, _DOTTED)
        for run in pattern.finditer(text)
        if _mostly_letters(run[0][::2])
    ]
    if sum(len(part.text) for part in parts) < _FEWEST_LETTERS:
        return []
    return _apart(sorted(parts))


def _mostly_letters(text: str) -> bool:
    return sum(map(str.isalpha, text)) * 2 > len(text)


def _apart(parts: list[Part]) -> list[Part]:
    """Drop those that overlap an earlier one."""
    kept: list[Part] = []
    for part in parts:
        if not kept or part.start >= kept[-1].end:
            kept.append(part)
    return kept
