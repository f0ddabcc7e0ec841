"""A text that ends inside a word is continued from where the word began.

A model knows a word by the tokens that it was trained on. A word that is cut anywhere makes others,
after which it would go on as it never does. So the last word is left out of the prompt, and the
model is held to begin with it; what it writes of it again is not shown.
"""

import re
from typing import NamedTuple

from tokenizers import Encoding

from services.inference.parsing.source import Kind, Reading, Source

_MAX_TOKENS = 16
"""Tokenizers that know no words take all of a text for one: then its last token is the word."""


class Cut(NamedTuple):
    """Where a prompt ends, and how the completion begins."""

    tokens: int
    """How many tokens are left out."""
    echo: str
    """The text that they stand for."""


NOTHING = Cut(0, "")


def cut(text: str, encoding: Encoding, start: int) -> Cut:
    """Return how to leave out the last word of a text, which may be cut behind `start`."""
    words = encoding.word_ids
    count = next((n for n, word in enumerate(reversed(words)) if word != words[-1]), len(words))
    if count > _MAX_TOKENS:
        count = 1
    kept = len(words) - count
    # Where the word before ends: tokenizers tell the beginning of one without its space.
    end = encoding.offsets[kept - 1][1] if kept else 0
    # No expression can hold a NUL: it ends the text of one.
    can_be_cut = start <= end < len(text) and "\0" not in text[end:]
    return Cut(count, text[end:]) if can_be_cut else NOTHING


def expression(echo: str) -> str:
    """Return the regular expression of all texts that begin with an echo."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", echo) + r"[\s\S]*"


def echo(source: Source, text: str, kind: Kind) -> Reading[None]:
    """Read what the model had to begin with; none of it is shown."""
    # Tokenizers that put a space before every text take the first one off again.
    for form in (text, text.removeprefix(" ")):
        if (yield from source.marker(form)):
            break
    else:
        # It was cut short.
        source.at = len(source.text) if text.startswith(source.text) else 0
    yield from source.take(kind, "")
