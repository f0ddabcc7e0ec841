"""A generation that runs while its prompt is still checked: nothing leaves before the verdict."""

import asyncio
import threading

import pytest

from catenary.v1 import error_reason_pb2
from services.errors import MeshError
from tests.fakes import Scripted, answer, call, delta, finished, outcome, request, started, text_of
from tests.guarding import guarded
from tests.safety.toys import Words, install

CARD = "4111 1111 1111 1111"
RULES = """
profiles:
- name: own
  check_while_generating: true
  rules:
  - pii: {}
    input: {action: pseudonymise}
  - harm: {}
    input: {action: block}
    output: {action: block}
"""


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> dict[str, Words]:
    made = {"pii": Words("pii", [CARD]), "harm": Words("harm", ["bomb"], reach=0, severity=4)}
    install(monkeypatch, **made)
    return made


async def test_nothing_leaves_before_the_verdict_when_it_comes_while_generating(
    toys: dict[str, Words],
) -> None:
    toys["harm"].waits = verdict = threading.Event()
    upstream = Scripted([started(), delta("some "), delta("text "), finished()])
    link = guarded(upstream, text=RULES)
    events = link.generate(request(f"hello {CARD}"), call())
    first = asyncio.ensure_future(anext(events))
    async with asyncio.timeout(20):
        await upstream.closed.wait()
    assert not first.done()
    assert CARD not in str(upstream.requests[0])
    verdict.set()
    rest = [await first] + [event async for event in events]
    assert text_of(rest) == "some text "
    assert [one.detector for one in rest[1].decision.safety.findings] == ["pii"]


async def test_a_block_while_generating_cancels_the_generation(toys: dict[str, Words]) -> None:
    upstream = Scripted([started(), delta("some "), asyncio.Event()])
    del toys
    link = guarded(upstream, text=RULES)
    events, error = await outcome(link, request("a bomb"), call())
    assert events == []
    assert isinstance(error, MeshError)
    assert error.reason == error_reason_pb2.ERROR_REASON_PROMPT_BLOCKED
    assert upstream.running == 0


async def test_what_is_held_before_the_verdict_is_bounded(toys: dict[str, Words]) -> None:
    toys["harm"].waits = verdict = threading.Event()
    said = ["x" * 9999 + " "] * 100
    upstream = Scripted(answer(*said))
    link = guarded(upstream, text=RULES)
    events = link.generate(request(), call())
    first = asyncio.ensure_future(anext(events))
    async with asyncio.timeout(20):
        while upstream.given < 27:  # noqa: ASYNC110 - a script tells nobody
            await asyncio.sleep(0.001)
    for _ in range(1000):
        await asyncio.sleep(0)
    # 256 KiB, and the one that is read when they are full.
    assert upstream.given <= 28
    verdict.set()
    rest = [await first] + [event async for event in events]
    assert text_of(rest) == "".join(said)


async def test_a_failure_of_the_upstream_comes_behind_the_verdict(toys: dict[str, Words]) -> None:
    del toys
    failing = Scripted([started(), RuntimeError("broken")])
    link = guarded(failing, text=RULES)
    _, error = await outcome(link, request("a bomb"), call())
    assert isinstance(error, MeshError)
    _, error = await outcome(link, request("hello"), call())
    assert isinstance(error, RuntimeError)
