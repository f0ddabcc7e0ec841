"""How likely a word is, by which letter follows which in English."""

from pathlib import Path

BIGRAMS = Path(__file__).with_name("bigrams.txt")
LETTERS = " abcdefghijklmnopqrstuvwxyz"
"""Those told apart; the blank stands for a word's beginning and end."""

# The costs are thirds of a bit, a row for each first letter. Made by `training.safety.bigrams`.
_BITS_PER_COST = 1 / 3
_COSTS = {
    first + second: int(cost) * _BITS_PER_COST
    for first, row in zip(LETTERS, BIGRAMS.read_text(encoding="ascii").splitlines(), strict=True)
    for second, cost in zip(LETTERS, row.split(), strict=True)
}
# What each letter costs where all are as likely.
_WORDLIKE_BITS = 4.7


def likeness(word: str) -> float:
    """Return the logarithm, base 2, of how likely a word of lower-case letters is."""
    total, first = 0.0, " "
    for second in word:
        total += _COSTS.get(first + second, _WORDLIKE_BITS)
        first = second
    return -total - _COSTS.get(first + " ", _WORDLIKE_BITS)


def looks_like_words(word: str) -> bool:
    """Tell whether a word of any letters could be English."""
    return likeness(word.lower()) > -_WORDLIKE_BITS * (len(word) + 1)
