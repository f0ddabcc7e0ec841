"""Turns look-alikes and letters made of signs into plain letters; drops what is not seen."""

import re
import unicodedata

from services.safety.forms.confusables import TABLE
from services.safety.invisible import ANY, KINDS, RUN, rightful
from services.safety.view import Part

# Longer runs without a blank are folded piece by piece.
_WORD = re.compile(r"\S{1,64}")
_LATIN = re.compile("[A-Za-z]")
_LAST_OF_PLANE = 0xFFFF
# `re` is fast with the characters of the basic plane, one by one, and with few ranges of others.
_LOOK_ALIKES = (
    "".join(chr(code) for code in TABLE if code <= _LAST_OF_PLANE) + "\U0001f110-\U0001f1ff"
)
_LOOK_ALIKE = re.compile(f"[{_LOOK_ALIKES}]")
# Forms of letters that NFKC makes plain: modifiers, of mathematics, in circles, wide, joined.
_FORMS = (
    "\u02b0-\u02b8\u02e0-\u02e4\u1d2c-\u1d6a\u1d78\u1d9b-\u1dbf\u2071\u207f\u2090-\u209c\u2102\u2107"
    "\u210a-\u2115\u2119-\u211d\u2124\u2128\u212a-\u2134\u2139\u2145-\u2149\u249c-\u24e9\u2c7c\u2c7d"
    "\uf900-\ufb4f\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f\U0001d400-\U0001d7ff"
)
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff"
# Letters in circles and squares that NFKC leaves as they are; of flags, more than one flag's.
_SIGNS = re.compile("[\U0001f110-\U0001f189]|[\U0001f1e6-\U0001f1ff]{3}")
_CHANGED = re.compile(f"[{_FORMS}{_MARKS}{''.join(KINDS.values())}]")
# Marks that stay beside a letter when all is composed belong to no spelling.
_STRAY_MARKS = re.compile(f"(?<=[A-Za-z0-9])[{_MARKS}]+")
_SOFT_HYPHEN = "\u00ad"


def folded(text: str) -> list[Part]:
    """Return the words that are not what they seem, each with what it seems to be."""
    latin, look_alikes = len(_LATIN.findall(text)), len(_LOOK_ALIKE.findall(text))
    has_signs = _SIGNS.search(text) is not None
    if not has_signs and _CHANGED.search(text) is None and not (latin and look_alikes):
        return []
    unseen = _unseen(text)
    parts: list[Part] = []
    for word in _WORD.finditer(text):
        # Words of other alphabets have letters of their own, unless somebody chose them.
        passes_for_latin = latin > look_alikes or _LATIN.search(word[0]) is not None
        passes_for_latin |= has_signs and _SIGNS.search(word[0]) is not None
        if _CHANGED.search(word[0]) or (passes_for_latin and _LOOK_ALIKE.search(word[0])):
            places = enumerate(word[0], word.start())
            seen = "".join(character for at, character in places if at not in unseen)
            plain = _plain(seen, passes_for_latin=passes_for_latin)
            if plain != word[0]:
                parts.append(Part(word.start(), word.end(), plain))
    return parts


def _unseen(text: str) -> set[int]:
    """Return the places of the characters that nobody sees and nothing needs."""
    if ANY.search(text) is None:
        return set()
    return {
        at
        for run in RUN.finditer(text)
        if run[0] == _SOFT_HYPHEN or not rightful(text, run)
        for at in range(run.start(), run.end())
    }


def _plain(word: str, *, passes_for_latin: bool) -> str:
    """Fold one word; where NFKC changes signs alone, or makes it much longer, it stays."""
    if word.isascii():
        return word
    composed = unicodedata.normalize("NFKC", word)
    if _letters(composed) == _letters(word) or len(composed) > len(word) * 3 // 2 + 2:
        composed = word
    composed = _STRAY_MARKS.sub("", composed)
    likely = composed.translate(TABLE)
    if _LATIN.search(composed) or (passes_for_latin and likely.isascii()):
        return likely
    return composed


def _letters(word: str) -> list[str]:
    return [character for character in word if character.isalnum()]
