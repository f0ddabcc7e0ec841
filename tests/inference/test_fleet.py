"""Berths: versions come in before the last ones go, whatever is asked for and whatever fails."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2
from services.errors import MeshError
from services.inference.berth import Timing
from services.inference.fleet import Fleet
from tests.inference.fleets import (
    NO_WAIT,
    FakeHost,
    Models,
    answer,
    configured,
    until_card,
)

READY, LOADING, FAILED = (
    models_pb2.Model.STATE_READY,
    models_pb2.Model.STATE_LOADING,
    models_pb2.Model.STATE_FAILED,
)
steps = st.dictionaries(
    st.sampled_from("abc"),
    st.tuples(st.integers(1, 4), st.sampled_from(["fine", "bad", "late", "defect"])),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=1, max_size=8), st.integers(0, 20))
def test_whatever_is_asked_for_the_last_of_it_serves(asked: Sequence[Models], turns: int) -> None:
    async def play() -> None:
        host = FakeHost()
        fleet = Fleet(host, NO_WAIT)
        reached: dict[str, int] = {}
        for models in asked:
            # As with files, a version never changes, and never counts down.
            wanted = {
                name: (max(version, reached.get(name, 0)), outcome)
                for name, (version, outcome) in models.items()
            }
            for name, (version, outcome) in wanted.items():
                host.behaviour.setdefault((name, version), outcome)
                reached[name] = version
            fleet.serve(configured(wanted))
            for _ in range(turns):
                await asyncio.sleep(0)
        for name, (version, _) in wanted.items():
            if host.behaviour[name, version] in {"fine", "late"}:
                card = await until_card(fleet, version, READY, name)
                assert await answer(fleet, name) == str(version)
                assert not card.problem
        assert set(await fleet.cards()) == set(wanted)
        for name in set("abc") - set(wanted):
            with pytest.raises(MeshError, match="no model named"):
                await answer(fleet, name)
        await fleet.close()

    asyncio.run(play())


async def test_a_version_is_given_up_when_its_last_call_has_ended() -> None:
    host = FakeHost()
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    (first,) = host.open_backends["a"]
    first.may_end.clear()
    running = asyncio.create_task(answer(fleet))
    await asyncio.sleep(0)
    fleet.serve(configured({"a": (2, "fine")}))
    await until_card(fleet, 2, READY)
    assert await answer(fleet) == "2"
    assert not first.is_closed
    fleet.serve(configured({}))
    with pytest.raises(MeshError, match="no model named 'a'"):
        await answer(fleet)
    first.may_end.set()
    assert await running == "1"
    async with asyncio.timeout(10):
        while host.open_backends["a"]:  # noqa: ASYNC110 - a host tells nobody
            await asyncio.sleep(0.001)
    await fleet.close()


def limited(version: int, max_queue: int) -> config_pb.ModelsConfig:
    model = config_pb.ModelConfig(name="a", version=version, max_queue=max_queue)
    return config_pb.ModelsConfig(models=[model])


async def test_a_version_that_never_served_may_be_mended_without_another_version() -> None:
    host = FakeHost({("a", 1): "bad"})
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(limited(1, 5))
    assert (await until_card(fleet, 1, FAILED)).problem == "version 1: the file is broken"
    host.behaviour.clear()
    fleet.serve(limited(1, 6))
    assert not (await until_card(fleet, 1, READY)).problem
    assert await answer(fleet) == "1"
    await fleet.close()


async def test_a_version_that_serves_does_not_change() -> None:
    host = FakeHost()
    fleet = Fleet(host, NO_WAIT)

    async def until_told(problem: str) -> None:
        async with asyncio.timeout(20):
            while (await until_card(fleet, 1, READY)).problem != problem:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.001)

    changed = "version 1: has changed, but it serves already: its version must count up"
    fleet.serve(limited(1, 5))
    await until_card(fleet, 1, READY)
    fleet.serve(limited(1, 6))
    await until_told(changed)
    # It may be lost, and come back, and is still not what is asked for.
    host.open_backends["a"][0].is_gone = True
    assert await answer(fleet) == "1"
    await until_told(changed)
    assert (host.attempts, host.reopened) == (1, 1)
    fleet.serve(limited(1, 5))
    await until_told("")
    fleet.serve(limited(2, 6))
    assert not (await until_card(fleet, 2, READY)).problem
    await fleet.close()


async def test_a_call_goes_over_when_its_version_was_unloaded_by_somebody_else() -> None:
    host = FakeHost()
    fleet = Fleet(host, Timing(patience_s=60, linger_s=0))
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    host.open_backends["a"][0].is_gone = True
    waiting = asyncio.create_task(answer(fleet))
    await until_card(fleet, 1, LOADING)
    fleet.serve(configured({"a": (2, "fine")}))
    assert await waiting == "2"
    assert host.reopened == 0, "the old version was loaded back"
    await fleet.close()


async def test_a_version_that_was_lost_is_opened_again_once_for_all_callers() -> None:
    host = FakeHost()
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    host.open_backends["a"][0].is_gone = True
    assert await asyncio.gather(*(answer(fleet) for _ in range(20))) == ["1"] * 20
    await until_card(fleet, 1, READY)
    assert (host.attempts, host.reopened) == (1, 1)
    await fleet.close()


async def test_a_version_that_was_lost_is_opened_again_as_soon_as_it_can_be() -> None:
    host = FakeHost(failures=[ValueError("the file\nis broken"), RuntimeError()])
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    host.open_backends["a"][0].is_gone = True
    with pytest.raises(MeshError, match="model 'a' cannot be loaded") as caught:
        await answer(fleet)
    assert caught.value.retry_after_s is not None
    assert (await until_card(fleet, 1, FAILED)).problem == "version 1: the file is broken"
    card = await until_card(fleet, 1, READY)
    assert not card.problem
    assert await answer(fleet) == "1"
    assert (host.attempts, host.reopened) == (1, 3)
    await fleet.close()


async def test_an_old_version_that_was_lost_comes_back_while_the_new_one_is_bad() -> None:
    host = FakeHost({("a", 2): "bad"})
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    fleet.serve(configured({"a": (2, "bad")}))
    async with asyncio.timeout(10):
        while not (await fleet.cards())["a"].problem:  # noqa: ASYNC110 - cards tell nobody
            await asyncio.sleep(0.001)
    host.open_backends["a"][0].is_gone = True
    assert await answer(fleet) == "1"
    assert (await until_card(fleet, 1, READY)).problem == "version 2: the file is broken"
    await fleet.close()


async def test_a_call_to_a_model_that_stays_unloaded_ends_in_bounded_time() -> None:
    host = FakeHost()
    fleet = Fleet(host, Timing(handover_s=0.01, patience_s=60, linger_s=0))
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    host.open_backends["a"][0].is_gone = True
    with pytest.raises(MeshError, match="model 'a' is being loaded") as caught:
        await answer(fleet)
    assert caught.value.retry_after_s is not None
    await fleet.close()


async def test_a_bad_version_is_told_on_the_card_and_tried_again_when_asked() -> None:
    host = FakeHost({("a", 1): "bad"})
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(configured({"a": (1, "bad")}))
    await fleet.settled()
    card = await until_card(fleet, 1, FAILED)
    assert card.problem == "version 1: the file is broken"
    with pytest.raises(MeshError, match="model 'a' cannot be loaded") as caught:
        await answer(fleet)
    assert caught.value.reason_name == "UPSTREAM_UNREACHABLE"
    attempts = host.attempts
    host.behaviour.clear()
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    assert host.attempts == attempts + 1
    await fleet.close()


async def test_what_only_describes_changes_without_a_new_version() -> None:
    host = FakeHost()
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    dearer = configured({"a": (1, "fine")})
    dearer.models[0].price.input = 3
    fleet.serve(dearer)
    async with asyncio.timeout(10):
        while (await fleet.cards())["a"].price.input != 3:  # noqa: ASYNC110 - cards tell nobody
            await asyncio.sleep(0.001)
    assert host.attempts == 1
    await fleet.close()


async def test_a_server_of_somebody_else_s_that_is_down_holds_up_no_other_model() -> None:
    host = FakeHost({("a", 1): "down"})
    fleet = Fleet(host, NO_WAIT)
    models = configured({"a": (1, "fine"), "b": (1, "fine")})
    models.models[0].engine = "openai"
    fleet.serve(models)
    try:
        async with asyncio.timeout(5):
            await fleet.settled()
        cards = await fleet.cards()
        assert cards["a"].state == models_pb2.Model.STATE_UNREACHABLE
        assert "cannot be reached" in cards["a"].problem
        assert await answer(fleet, "b") == "1"
        host.behaviour["a", 1] = "fine"
        await until_card(fleet, 1, models_pb2.Model.STATE_READY)
    finally:
        await fleet.close()


async def test_a_caller_reads_that_a_server_of_somebody_else_s_cannot_be_reached() -> None:
    fleet = Fleet(FakeHost({("a", 1): "down"}), NO_WAIT)
    models = configured({"a": (1, "fine")})
    models.models[0].engine = "openai"
    models.models[0].context_window = 8192
    fleet.serve(models)
    card = await until_card(fleet, 1, models_pb2.Model.STATE_UNREACHABLE)
    assert card.context_window == 8192
    with pytest.raises(MeshError, match=r"^model 'a' cannot be reached$") as caught:
        await answer(fleet)
    assert caught.value.metadata == {"upstream": "openai", "model": "a"}
    assert caught.value.retry_after_s is not None
    await fleet.close()
