"""Reads text that is turned around, or whose letters are moved by thirteen places."""

import codecs
import re
from collections.abc import Callable

from services.safety.forms.likeness import likeness
from services.safety.view import Part

_WORD = re.compile(r"[A-Za-z]{1,32}")
# In bits. By how much likelier a stretch has to be than as it stands, and how much less likely
# it may get on the way before it ends.
_SURE, _PATIENCE = 20.0, 12.0
# Turned words may be about as likely: a stretch of them is widened by what may belong to it.
_WIDER_CHARS = 48
_WORDS_BEFORE = re.compile(r"(?:\S+[ \t]+){0,3}\S*\Z")
_WORDS_BEHIND = re.compile(r"\S*(?:[ \t]+\S+){0,3}")


def rot13(text: str) -> list[Part]:
    """Return the stretches that are likelier words when their letters are moved."""
    return [Part(start, end, _moved(text[start:end])) for start, end in _likelier(text, _moved)]


def turned(text: str) -> list[Part]:
    """Return the stretches that are likelier words when read from their end."""
    parts: list[Part] = []
    for first, last in _likelier(text, _turned):
        start = max(_before(text, first), parts[-1].end if parts else 0)
        end = _behind(text, last)
        parts.append(Part(start, end, _turned(text[start:end])))
    return parts


def _moved(text: str) -> str:
    return codecs.encode(text, "rot13")


def _turned(text: str) -> str:
    return text[::-1]


def _likelier(text: str, read: Callable[[str], str]) -> list[tuple[int, int]]:
    """Return the longest stretches over which reading words so gains the most."""
    stretches: list[tuple[int, int]] = []
    gain = best = 0.0
    start = end = 0
    for word in _WORD.finditer(text):
        if gain == 0:
            start = end = word.start()
        lower = word[0].lower()
        gain += likeness(read(lower)) - likeness(lower)
        if gain > best:
            best, end = gain, word.end()
        if gain <= 0 or gain < best - _PATIENCE:
            if best >= _SURE:
                stretches.append((start, end))
            gain = best = 0.0
    if best >= _SURE:
        stretches.append((start, end))
    return stretches


def _before(text: str, start: int) -> int:
    near = text[max(0, start - _WIDER_CHARS) : start]
    found = _WORDS_BEFORE.search(near)
    return start if found is None else start - len(found[0])


def _behind(text: str, end: int) -> int:
    found = _WORDS_BEHIND.match(text, end, end + _WIDER_CHARS)
    return end if found is None else found.end()
