"""Thoughts before the answer: `<think>…</think>`, as Qwen 3 and DeepSeek R1 write them.

They stand at the beginning or nowhere: a `<think>` further on is text. The first `</think>` ends
them; without one, all of the text is thought. White space after a marker belongs to the marker.
"""

from services.inference.parsing.source import Kind, Reading, Source

OPEN, CLOSE = "<think>", "</think>"
_MAX_SPACES = 16


def think(source: Source, *, is_open: bool) -> Reading[None]:
    """Read the thoughts, if there are any; `is_open`: the prompt has opened them."""
    while source.at < _MAX_SPACES and (yield from source.peek()).isspace():
        source.at += 1
    if not (yield from source.marker(OPEN)) and not is_open:
        source.give_up()
        return
    yield from source.take(Kind.REASONING, "")
    yield from source.space_of(Kind.REASONING)
    yield from rest_of_thought(source)


def rest_of_thought(source: Source) -> Reading[None]:
    """Read on inside the thoughts, up to their end."""
    if (yield from source.until(CLOSE, Kind.REASONING)):
        yield from source.take(Kind.REASONING, "")
        yield from source.space_of(Kind.REASONING)
