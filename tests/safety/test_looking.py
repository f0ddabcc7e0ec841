"""How detectors get their time: turns in threads, deadlines, and calls that are stuck."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from services.errors import MeshError
from services.safety import look, looking
from services.safety.detector import Finding, Source, Text
from services.safety.looking import Looking
from services.safety.metrics import SafetyMetrics
from services.safety.passages import Passage, Piece
from services.safety.profile import Rule
from services.safety.stream.rules import Judged
from tests.guarding import policy
from tests.safety.toys import Words, install

RULES = """
profiles:
- name: a
  rules:
  - pii: {}
    input: {action: pseudonymise}
    deadline: 60s
  - secrets: {}
    input: {action: redact}
    on_failure: open
    deadline: 0.01s
  - harm: {}
    input: {action: block}
    deadline: 60s
"""
PLACES = 2


class Asked:
    """Rules of toys, and who has them look."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.looking = Looking(SafetyMetrics(registry), PLACES)
        self.rules = {rule.kind: rule for rule in policy(RULES).profile("default", "").rules}

    async def look(self, raw: str, *kinds: str) -> list[Judged]:
        passage = Passage(Text(raw, Source.USER), [Piece(0, len(raw))], lambda _: None)
        rules: list[Rule] = [self.rules[kind] for kind in kinds]
        [found] = await self.looking.look(rules, [passage], frozenset())
        return found

    def failures(self, detector: str, reason: str) -> float:
        labels = {"detector": detector, "reason": reason}
        return (
            self.registry.get_sample_value("catenary_safety_detector_failures_total", labels) or 0
        )


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> dict[str, Words]:
    made = {
        "pii": Words("pii", ["anna"], reach=512),
        "secrets": Words("secrets", ["key"]),
        "harm": Words("harm", ["bomb"], reach=0),
    }
    install(monkeypatch, **made)
    return made


@pytest.fixture
async def asked(registry: CollectorRegistry, toys: dict[str, Words]) -> AsyncIterator[Asked]:
    made = Asked(registry)
    yield made
    for toy in toys.values():
        if toy.waits is not None:
            toy.waits.set()
    made.looking.close()


async def until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happens():  # noqa: ASYNC110 - a detector tells nobody
            await asyncio.sleep(0.001)


def categories(found: list[Judged]) -> list[str]:
    return [one.finding.category for one in found]


async def test_a_detector_that_is_stuck_takes_no_place_from_others(
    asked: Asked, toys: dict[str, Words]
) -> None:
    toys["secrets"].waits = release = threading.Event()
    calls = 3 * PLACES
    for _ in range(calls):
        found = await asked.look("a bomb for anna", "pii", "secrets", "harm")
        assert categories(found) == ["anna", "unavailable", "bomb"]
    assert len(toys["secrets"].asked) == 1
    assert asked.failures("secrets", "late") == 1
    assert asked.failures("secrets", "stuck") == calls - 1
    assert not asked.failures("harm", "late")
    release.set()
    await until(lambda: not asked.looking.is_stuck(asked.rules["secrets"]))
    toys["secrets"].waits = None
    assert categories(await asked.look("key", "secrets")) == ["key"]


async def test_a_caller_who_leaves_keeps_no_place(asked: Asked, toys: dict[str, Words]) -> None:
    toys["secrets"].waits = threading.Event()
    left = [asyncio.create_task(asked.look("key", "secrets")) for _ in range(PLACES)]
    await until(lambda: len(toys["secrets"].asked) == PLACES)
    for one in left:
        one.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    async with asyncio.timeout(20):
        assert categories(await asked.look("bomb", "harm")) == ["bomb"]
    await until(lambda: asked.failures("secrets", "late") == PLACES)


async def test_time_spent_waiting_for_a_place_makes_no_detector_late(
    asked: Asked, toys: dict[str, Words]
) -> None:
    toys["pii"].waits = release = threading.Event()
    taken = [asyncio.create_task(asked.look("anna", "pii")) for _ in range(PLACES)]
    await until(lambda: len(toys["pii"].asked) == PLACES)
    waiting = asyncio.create_task(asked.look("key", "secrets"))
    # Ten times what it may take.
    await asyncio.sleep(0.1)
    assert not toys["secrets"].asked
    release.set()
    assert categories(await waiting) == ["key"]
    await asyncio.gather(*taken)


async def test_who_waits_for_a_place_too_long_is_told_to_come_back(
    asked: Asked, toys: dict[str, Words], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_MOST_WAIT_S", 0.01)
    toys["pii"].waits = release = threading.Event()
    taken = [asyncio.create_task(asked.look("anna", "pii")) for _ in range(PLACES)]
    await until(lambda: len(toys["pii"].asked) == PLACES)
    with pytest.raises(MeshError) as caught:
        await asked.look("bomb", "harm")
    assert caught.value.reason_name == "OVERLOADED"
    assert caught.value.retry_after_s
    release.set()
    await asyncio.gather(*taken)
    assert categories(await asked.look("bomb", "harm")) == ["bomb"]


async def test_a_long_text_makes_way_for_a_short_one(
    asked: Asked, toys: dict[str, Words], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_TURN_S", 0.0)
    long = "to anna " * 100_000
    toys["pii"].waits = release = threading.Event()
    taken = [asyncio.create_task(asked.look(long, "pii")) for _ in range(PLACES)]
    await until(lambda: len(toys["pii"].asked) == PLACES)
    waiting = asyncio.create_task(asked.look("bomb", "harm"))
    await asyncio.sleep(0)
    release.set()
    assert categories(await waiting) == ["bomb"]
    assert not any(one.done() for one in taken)
    assert [len(found) for found in await asyncio.gather(*taken)] == [100_000] * PLACES


class Slow(Words):
    """Takes a while by a clock that nothing else moves."""

    now = 0.0

    def find(self, text: Text) -> Sequence[Finding]:
        self.now += 0.0041
        return super().find(text)


async def test_a_slow_detector_is_late_between_two_pieces_of_a_long_text(
    monkeypatch: pytest.MonkeyPatch, registry: CollectorRegistry
) -> None:
    slow = Slow("secrets", ["key"])
    install(monkeypatch, secrets=slow, pii=slow, harm=slow)
    monkeypatch.setattr(look, "_BY_PIECES", {"secrets"})
    clock = SimpleNamespace(perf_counter=lambda: 0.0, thread_time=lambda: slow.now)
    monkeypatch.setattr(look, "time", clock)
    asked = Asked(registry)
    # 131,072 characters have twice the time of 65,536: 0.02 s, which are five pieces of eight.
    found = categories(await asked.look("key " * 2**15, "secrets"))
    assert len(slow.asked) == 5
    assert found[-1] == "unavailable"
    assert 5 * 2**12 - 200 < found.count("key") <= 5 * 2**12
    assert asked.failures("secrets", "late") == 1
    asked.looking.close()
