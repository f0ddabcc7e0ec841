"""Where the end of a text may be a form that is not over, of which nothing can be read yet."""

import re

from services.safety.forms.confusables import TABLE

END = "\x1e"
"""Stands, as a blank would, at the end of what may be all."""

_WORD = re.compile(r"\S+")
# Where words are written without blanks, a word may end at any character.
_LAST_WORD = re.compile(r"[^\u3001-\u30ff\u3400-\u9fff]*\Z")
_PIECE = re.compile(
    # A letter set apart; a few of them.
    r"[^\W_]|[.,'&/-]|\w(?:[._*·•|/~+-]\w)+"
    # Pairs of hexadecimal digits that may stand for what can be read; eights of binary ones.
    r"|(?:(?:\\x|0x)?(?:0[9aAdD]|[2-9A-Fa-f][0-9A-Fa-f])[,:]?)+"
    r"|(?:[01]{8},?)+"
)
# A text of pieces alone, as quickly as can be told: it may be long.
_ALL = re.compile(rf"(?:(?:{_PIECE.pattern})\s{{1,3}})*+[^\s\u3001-\u30ff\u3400-\u9fff]*")
_LINE_OF_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_LOOK_ALIKES = frozenset(map(chr, TABLE))
_MOST_BLANKS = 3


def grows_from(tail: str) -> int:
    """Return where pieces of a form begin that go on to the end of a text; its length if none do.

    A word that is not over is one, since most forms have no blanks; a word that is over only if it
    may be a part of a form that has.
    """
    if _ALL.fullmatch(tail):
        return 0
    opened = len(tail)
    for word in reversed(list(_WORD.finditer(tail))):
        blanks = tail[word.end() : opened]
        if not blanks:
            last = _LAST_WORD.search(word[0])
            start = word.start() + (last.start() if last else 0)
            if start > word.start():
                return start
        elif len(blanks) > _MOST_BLANKS or not _is_piece(word[0], blanks):
            return opened
        opened = word.start()
    return opened


def _is_piece(word: str, blanks: str) -> bool:
    return (
        _PIECE.fullmatch(word) is not None
        or _LOOK_ALIKES.issuperset(word)
        or ("\n" in blanks and _LINE_OF_BASE64.fullmatch(word) is not None)
    )
