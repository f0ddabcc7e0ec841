"""Reads digits and signs that stand for letters: `1gn0r3`."""

import re

from services.safety.forms.likeness import likeness, looks_like_words
from services.safety.view import Part

_TOKEN = re.compile(r"[A-Za-z0-9@$]+(?:![A-Za-z0-9@$]+)*")
_SIGN = re.compile(r"[0-9@$!]")
# Signs among letters. Those behind the letters, as in `mp3`, say nothing.
_AMONG = re.compile(r"[A-Za-z][0-9@$!]+[A-Za-z]")
_AHEAD = re.compile(r"[0-9]+[A-Za-z]{2}")
_ORDINAL = re.compile(
    r"[0-9]+(?:st|nd|rd|th|s|x|px|em|k|m|g|kb|mb|gb|tb|km|cm|mm|kg|ms|am|pm|d|h)", re.IGNORECASE
)
# Long tokens of mixed case are keys and encoded bytes.
_LONG, _MIXED = 10, re.compile(r"[a-z][^a-z]*[A-Z]")
_LETTERS = str.maketrans("023456789@$!", "ozeasgtbgasi")
# It stands for an `i` or an `l`. By how much likelier an `l` has to be, in bits.
_ONE, _BIAS_BITS = "1", 2.0
_LONGEST = 64
_FEWEST_LETTERS = 4
# A number among such words may be one of them: `70` for `to`.
_LONGEST_NUMBER = 4
_SURE = 2


def unleeted(text: str) -> list[Part]:
    """Return the words of the stretch that is written so; none where nothing surely is."""
    tokens = list(_TOKEN.finditer(text))
    found = 0
    hits: list[int] = []
    for index, token in enumerate(tokens):
        if weight := _weight(text, token):
            found += weight
            hits.append(index)
            if found >= _SURE:
                break
    else:
        return []
    first, last = hits[0], len(tokens) - 1
    while not _weight(text, tokens[last]):
        last -= 1
    while first > 0 and _may_be_read(tokens[first - 1][0]):
        first -= 1
    while last + 1 < len(tokens) and _may_be_read(tokens[last + 1][0]):
        last += 1
    return [
        Part(token.start(), token.end(), _letters(token[0]))
        for token in tokens[first : last + 1]
        if _may_be_read(token[0])
    ]


def _may_be_read(word: str) -> bool:
    if _SIGN.search(word) is None or len(word) > _LONGEST:
        return False
    return any(map(str.isalpha, word)) or (word.isdigit() and len(word) <= _LONGEST_NUMBER)


def _weight(text: str, token: re.Match[str]) -> int:
    """Weigh a token: 2 for surely a word written so, 1 for perhaps, 0 for no."""
    word = token[0]
    among, ahead = _AMONG.search(word), _AHEAD.match(word)
    if (among is None and ahead is None) or len(word) > _LONGEST:
        return 0
    if _ORDINAL.fullmatch(word) or _is_address(text, token):
        return 0
    if (len(word) > _LONG and _MIXED.search(word)) or not looks_like_words(_letters(word)):
        return 0
    return _SURE if among and len(word) >= _FEWEST_LETTERS else 1


def _letters(word: str) -> str:
    """Read the signs as letters, and each `1` as an `i`, or as an `l` where that is likelier."""
    read = word.translate(_LETTERS)
    at = read.find(_ONE)
    while at >= 0:
        near = read[max(0, at - 1) : at + 2].lower()
        is_l = likeness(near.replace(_ONE, "l")) > likeness(near.replace(_ONE, "i")) + _BIAS_BITS
        read = read[:at] + ("l" if is_l else "i") + read[at + 1 :]
        at = read.find(_ONE, at)
    return read


def _is_address(text: str, token: re.Match[str]) -> bool:
    """Tell the beginning of an e-mail address, whose `@` is one."""
    end = token.end()
    return "@" in token[0] and text[end : end + 1] in {".", "-", "_"}
