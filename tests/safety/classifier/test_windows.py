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
