"""A text as the recognisers of numbers read it: one byte a character, so that positions stay."""

import re

# What looks like a digit, a dash, a blank or a sign of ASCII, and is none. Characters that are not
# seen become byte 1, which may stand between the digits of a card.
_SAME = {
    **{0xFF01 + i: 0x21 + i for i in range(94)},
    **{zero + i: 0x30 + i for zero in (0x660, 0x6F0, 0x966, 0xE50) for i in range(10)},
    **{base + i: 0x30 + i % 10 for base in (0x1D7CE,) for i in range(50)},
    **dict.fromkeys([0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xFE63], 0x2D),
    **dict.fromkeys([0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], 0x20),
    **dict.fromkeys([0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x180E], 1),
    0x2018: 0x27,
    0x2019: 0x27,
    0x2024: 0x2E,
    0xFE52: 0x2E,
}


# Letters of the scripts that part words by blanks.
_LETTERS = re.compile(r"[^\W\x00-\x7f\u0590-\U0010ffff]+")
LETTER = "\x02"
"""Stands for a letter that ASCII has not."""


def plain(text: str) -> bytes:
    """Return the text, one byte a character: `?` for those that ASCII has nothing like."""
    if not text.isascii():
        text = _LETTERS.sub(lambda run: LETTER * len(run[0]), text.translate(_SAME))
    return text.encode("ascii", "replace")
