"""What is kept of an answer while it streams by is bounded, and let go once it is too much."""

import tracemalloc

from services.cache.recording import Recording
from tests.fakes import delta, finished


def test_an_answer_that_grows_too_large_is_let_go() -> None:
    recording = Recording(max_bytes=100_000)
    tracemalloc.start()
    for number in range(1000):
        assert recording.add(delta(str(number) * 300)) is None
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 20_000
    assert recording.add(finished()) is None


def test_an_answer_that_just_fits_is_kept() -> None:
    whole = [delta("x" * 50), finished()]
    recording = Recording(max_bytes=1000)
    assert [recording.add(event) for event in whole] == [
        None,
        tuple(event.SerializeToString() for event in whole),
    ]
