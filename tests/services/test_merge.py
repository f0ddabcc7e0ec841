"""Deltas that pile up behind a slow reader leave together, unchanged as a whole, and bounded."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catenary.v1 import generation_pb2 as pb
from services import errors, merge
from services.merge import write_merged
from tests.fakes import Scripted, call, delta, finished, request, started

DELTAS = st.builds(
    pb.Delta,
    choice=st.integers(0, 1),
    text=st.text("ab", max_size=3),
    reasoning=st.one_of(st.just(""), st.text("xy", max_size=3)),
    output_tokens=st.integers(0, 3),
    logprobs=st.lists(st.builds(pb.TokenLogprob, token=st.text("ab", max_size=1)), max_size=2),
)


@pytest.fixture(scope="module", autouse=True)
def every_reader_is_slow() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "_SLOW_S", -1.0)
        yield


async def sent(events: Sequence[pb.GenerateResponse]) -> list[pb.GenerateResponse]:
    """What leaves when all that follows the first event has piled up before it is written."""
    read = asyncio.Event()
    written: list[pb.GenerateResponse] = []

    async def stream() -> AsyncGenerator[pb.GenerateResponse, None]:
        for event in events:
            yield event
        read.set()

    async def write(event: pb.GenerateResponse) -> None:
        if written:
            await read.wait()
        written.append(event)

    await write_merged(stream(), write)
    return written


def spelled(
    events: Sequence[pb.GenerateResponse], choice: int, part: Callable[[pb.Delta], object]
) -> list[object]:
    return [
        piece
        for event in events
        if event.HasField("delta") and event.delta.choice == choice
        for piece in part(event.delta)  # type: ignore[attr-defined]
    ]


@given(st.lists(DELTAS, max_size=12))
async def test_what_is_merged_says_the_same(deltas: list[pb.Delta]) -> None:
    events = [pb.GenerateResponse(delta=one) for one in deltas]
    before = [event.SerializeToString() for event in events]
    merged = await sent(events)
    assert len(merged) <= len(events)
    for choice in (0, 1):
        for part in (
            lambda one: one.text,
            lambda one: one.reasoning,
            lambda one: [logprob.token for logprob in one.logprobs],
            lambda one: ["t"] * one.output_tokens,
            # Thought and text keep their order.
            lambda one: ["x"] * len(one.reasoning) + ["a"] * len(one.text),
        ):
            assert spelled(merged, choice, part) == spelled(events, choice, part)
    assert [event.SerializeToString() for event in events] == before


async def test_what_piles_up_leaves_in_one_message() -> None:
    merged = await sent([started(), *map(delta, "abcd"), finished()])
    assert [event.WhichOneof("event") for event in merged] == ["started", "delta", "finished"]
    assert merged[1].delta == pb.Delta(text="abcd", output_tokens=4)


async def test_what_is_read_ahead_is_bounded_in_bytes() -> None:
    upstream = Scripted([started(), *[delta("x" * 8192)] * 200])
    writing, go_on = asyncio.Event(), asyncio.Event()
    sizes: list[int] = []

    async def write(event: pb.GenerateResponse) -> None:
        sizes.append(event.ByteSize())
        if len(sizes) > 1:
            writing.set()
            await go_on.wait()

    task = asyncio.create_task(write_merged(upstream.generate(request(), call()), write))
    await writing.wait()
    for _ in range(500):
        await asyncio.sleep(0)
    assert upstream.given <= 11
    go_on.set()
    await task
    assert upstream.given == 201
    assert max(sizes) <= 80 * 1024


async def test_what_came_before_an_error_is_written() -> None:
    written: list[pb.GenerateResponse] = []

    async def write(event: pb.GenerateResponse) -> None:
        written.append(event)

    upstream = Scripted([started(), delta("a"), errors.internal()])
    with pytest.raises(errors.MeshError):
        await write_merged(upstream.generate(request(), call()), write)
    assert [event.WhichOneof("event") for event in written] == ["started", "delta"]


async def test_a_write_that_fails_closes_the_stream() -> None:
    async def write(_: pb.GenerateResponse) -> None:
        raise OSError("gone")

    upstream = Scripted([started(), asyncio.Event()])
    with pytest.raises(OSError, match="gone"):
        await write_merged(upstream.generate(request(), call()), write)
    assert upstream.closed.is_set()
