"""Windows: which parts of a text the encoder reads."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.safety.classifier.lexical import TABLE_BITS, Lexicon, pieces
from services.safety.classifier.windows import MOST_WINDOWS, WINDOW_BYTES, spans, windows
from services.safety.detector import Source, Text

NOTHING = Lexicon(np.zeros((1 << TABLE_BITS, 3), np.float32))


def lexicon(word: str) -> Lexicon:
    """Return a lexicon that knows one word."""
    weights = np.zeros((1 << TABLE_BITS, 3), np.float32)
    weights[pieces(word.encode())[3].numbers] = 1
    return Lexicon(weights)


@given(st.integers(0, 100_000))
def test_windows_cover_every_byte_and_overlap(size: int) -> None:
    found = spans(size)
    assert found[0][0] == 0
    assert found[-1][1] == size
    assert all(end - start <= WINDOW_BYTES for start, end in found)
    assert all(after[0] < before[1] for before, after in pairwise(found))


@given(st.text(max_size=3000))
@settings(deadline=None)
def test_windows_say_where_their_text_stands(raw: str) -> None:
    text = Text(raw.replace("\0", ""), Source.USER)
    for window in windows(text.views[:1], NOTHING):
        assert window.text.strip("\ufffd?") in text.raw.encode("utf-8", "replace").decode()
        assert 0 <= window.start <= window.end <= len(text.raw)


def test_a_short_text_is_one_window() -> None:
    (window,) = windows(Text("hello there", Source.USER).views, NOTHING)
    assert window[:3] == (0, 11, "hello there")


def test_a_long_text_shows_its_ends_and_its_most_telling_part() -> None:
    raw = "plain words " * 4000 + "abracadabra " + "plain words " * 4000
    found = windows(Text(raw, Source.USER).views, lexicon("abracadabra"))
    assert len(found) == MOST_WINDOWS
    assert found[0].start == 0
    assert any(window.end == len(raw) for window in found)
    assert any("abracadabra" in window.text for window in found)


def test_words_weigh_by_the_root_of_the_pieces() -> None:
    known = lexicon("alpha")
    once = known.weigh(b"alpha beta", [(0, 10)])[0, 0]
    count = sum(len(kind.numbers) for kind in pieces(b"alpha beta"))
    assert np.isclose(once, 1 / np.sqrt(count))
    assert np.isclose(known.weigh(b"ALPHA beta", [(0, 10)])[0, 0], once)


def test_a_text_without_words_weighs_nothing() -> None:
    assert not NOTHING.weigh(b"", [(0, 0)]).any()
    assert not NOTHING.weigh(b"\xff\xfe", [(0, 2)]).any()


@given(
    st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1)
)
@settings(deadline=None)
def test_each_part_weighs_what_its_pieces_weigh(
    content: bytes, parts: list[tuple[int, int]]
) -> None:
    parts = [(min(part), min(max(part), len(content))) for part in parts]
    weights = np.random.default_rng(0).normal(size=(1 << TABLE_BITS, 3)).astype(np.float32)
    for (start, end), weighed in zip(parts, Lexicon(weights).weigh(content, parts), strict=True):
        numbers = [
            number
            for kind in pieces(content)
            for at, number in zip(kind.starts, kind.numbers, strict=True)
            if start <= at < end
        ]
        expected = weights[numbers].sum(axis=0) / np.sqrt(max(1, len(numbers)))
        assert np.allclose(weighed, expected, atol=1e-4)
