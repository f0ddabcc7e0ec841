"""Events come out the same however their bytes were cut."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.inference.openai.failures import GarbageError
from services.inference.openai.sse import MAX_EVENT_BYTES, EventReader

LINES = st.sampled_from(
    [b"", b"", b"data: one", b"data:two", b"data: ", b"data", b"data:  three", b": comment",
     b"event: x", b"id: 7", b"retry: 1", b"datum: 9", "data: \u00e9\u2028\u0085".encode(), b":"]
)  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def events(*pieces: bytes) -> list[bytes]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece)]


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    lines = draw(st.lists(st.tuples(LINES, ENDS), max_size=12))
    whole = b"".join(line + end for line, end in lines)
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    borders = [0, *places, len(whole)]
    return whole, [whole[a:b] for a, b in itertools.pairwise(borders)]


def by_the_book(whole: bytes) -> list[bytes]:
    """Read a whole stream, as plainly as the specification puts it."""
    found, data = [], []
    for line in re.split(rb"\r\n|\n|\r", whole)[:-1]:
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif line == b"data":
            data.append(b"")
        elif not line:
            found.append(b"\n".join(data))
            data = []
    return [event for event in found if event]


@settings(deadline=None)
@given(cut_streams())
def test_any_cut_gives_the_same_events(cut: tuple[bytes, list[bytes]]) -> None:
    whole, pieces = cut
    assert events(*pieces) == events(whole) == by_the_book(whole)


def test_byte_by_byte() -> None:
    whole = b": hi\r\n\r\ndata: one\r\ndata: more\r\n\r\ndata: [DONE]\r\r"
    assert events(*(whole[i : i + 1] for i in range(len(whole)))) == [b"one\nmore", b"[DONE]"]


@pytest.mark.parametrize("piece", [b"x" * 4096, b"data: x\n" * 512, b"data: y\nevent: z\n" * 256])
def test_an_event_without_end_is_refused(piece: bytes) -> None:
    with pytest.raises(GarbageError):
        events(*[piece] * (MAX_EVENT_BYTES // len(piece) + 1))


def test_comments_may_come_for_ever() -> None:
    comment = b": " + b"x" * 4094 + b"\n"
    reader = EventReader()
    for _ in range(MAX_EVENT_BYTES // 4096):
        assert not list(reader.feed(comment))
