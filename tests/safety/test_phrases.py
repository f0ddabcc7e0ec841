"""The automaton, against the plainest definition of what it finds."""

from hypothesis import given
from hypothesis import strategies as st

from services.safety.phrases import Phrases

# Few letters, so that phrases overlap; and characters whose folding is longer than they are.
LETTERS = "abAB ßİſﬁΐ"
PHRASES = st.lists(st.text(LETTERS, min_size=1, max_size=5), min_size=1, max_size=5)


@given(PHRASES, st.text(LETTERS, max_size=40))
def test_of_the_phrases_that_end_together_the_longest_is_found(
    phrases: list[str], text: str
) -> None:
    text = text.casefold()
    expected = []
    for end in range(1, len(text) + 1):
        folded = [phrase.casefold() for phrase in phrases]
        lengths = [len(phrase) for phrase in folded if text[:end].endswith(phrase)]
        if lengths:
            expected.append((end - max(lengths), end))
    found = Phrases(phrases).matches(text)
    assert [(match.start, match.end) for match in found] == expected


@given(PHRASES, st.text(LETTERS, max_size=40))
def test_the_end_of_a_text_that_begins_a_phrase_is_known(phrases: list[str], text: str) -> None:
    text = text.casefold()
    # A phrase that is all there is begun too, unless it goes on.
    beginnings = {
        phrase.casefold()[:size] for phrase in phrases for size in range(len(phrase.casefold()) + 1)
    }
    begun = max(size for size in range(len(text) + 1) if text[len(text) - size :] in beginnings)
    assert Phrases(phrases).begun(text) == begun


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
    assert not list(phrases.matches("a" * 100_000))
    assert steps <= 4 * 100_000
