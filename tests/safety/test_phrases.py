"""The automaton and the hold, against the plainest definition of what they do."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.safety.hold import Hold
from services.safety.phrases import Phrases

# Few letters, so that phrases overlap; and characters whose folding is longer than they are.
LETTERS = "abAB ßİſﬁΐ"
PHRASES = st.lists(st.text(LETTERS, min_size=1, max_size=5), min_size=1, max_size=5)
PIECES = st.lists(st.text(LETTERS, max_size=6), max_size=12)


def first_match(phrases: Sequence[str], text: str) -> tuple[int, int] | None:
    """The phrase that ends first, and of those the longest, in the folded text."""
    folded = text.casefold()
    for end in range(1, len(folded) + 1):
        lengths = [len(p.casefold()) for p in phrases if folded[:end].endswith(p.casefold())]
        if lengths:
            return end - max(lengths), end
    return None


def safe_part(phrases: Sequence[str], text: str) -> str:
    """The whole characters before the first phrase."""
    match = first_match(phrases, text)
    if match is None:
        return text
    return max(
        (text[:size] for size in range(len(text) + 1) if len(text[:size].casefold()) <= match[0]),
        key=len,
    )


def stream(phrases: Sequence[str], pieces: Sequence[str]) -> str:
    hold = Hold(Phrases(phrases))
    left = ""
    for piece in pieces:
        if not hold.blocked:
            left += hold.push(piece)
    return left if hold.blocked else left + hold.flush()


@given(PHRASES, PIECES)
def test_what_leaves_is_what_stands_before_the_first_phrase_however_it_is_cut(
    phrases: list[str], pieces: list[str]
) -> None:
    assert stream(phrases, pieces) == safe_part(phrases, "".join(pieces))


@given(PHRASES, PIECES)
def test_no_phrase_ever_leaves(phrases: list[str], pieces: list[str]) -> None:
    left = stream(phrases, pieces).casefold()
    assert not any(phrase.casefold() in left for phrase in phrases)


@given(PHRASES, PIECES)
def test_no_more_is_held_than_may_begin_a_phrase(phrases: list[str], pieces: list[str]) -> None:
    hold, text = Hold(Phrases(phrases)), ""
    for piece in pieces:
        text += piece
        hold.push(piece)
        if hold.blocked:
            return
        beginnings = {p.casefold()[:size] for p in phrases for size in range(len(p.casefold()))}
        folded = text.casefold()
        longest = max((len(begun) for begun in beginnings if folded.endswith(begun)), default=0)
        # A character whose folding only partly begins a phrase is held whole.
        ends = [text[start:] for start in range(len(text) + 1)]
        assert hold.held == min((end for end in ends if len(end.casefold()) >= longest), key=len)


@given(PHRASES, st.text(LETTERS, max_size=40))
def test_scan_finds_the_phrase_that_ends_first(phrases: list[str], text: str) -> None:
    _, match = Phrases(phrases).scan(0, text.casefold())
    assert (None if match is None else (match.start, match.end)) == first_match(phrases, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("STRASSE", "die Straße"),
        ("straße", "DIE STRASSE"),
        ("İstanbul", "i̇STANBUL"),
        ("ﬁre", "Fire"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ],
)
def test_case_is_no_way_round(phrase: str, text: str) -> None:
    assert phrase.casefold() not in stream([phrase], list(text)).casefold()
    assert len(stream([phrase], list(text))) < len(text)


def test_a_text_that_almost_matches_everywhere_is_read_in_linear_time() -> None:
    phrases = Phrases(["a" * 255 + "b"])
    steps = 0

    class Counting(dict[str, int]):
        def get(self, key: str, default: int = 0) -> int:  # type: ignore[override]
            nonlocal steps
            steps += 1
            return super().get(key, default)

        def __contains__(self, key: object) -> bool:
            nonlocal steps
            steps += 1
            return super().__contains__(key)

    phrases._next = [Counting(following) for following in phrases._next]
    assert phrases.scan(0, "a" * 100_000)[1] is None
    assert steps <= 4 * 100_000
