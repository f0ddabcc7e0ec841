"""Versions that leave: whoever is wanted again serves at once, and no call is cut off."""

import asyncio

import pytest

from catenary.v1 import models_pb2
from services.errors import MeshError
from services.inference.fleet import Fleet
from tests.inference.fleets import (
    NO_WAIT,
    FakeBackend,
    FakeHost,
    answer,
    configured,
    until_card,
)

READY, LOADING = models_pb2.Model.STATE_READY, models_pb2.Model.STATE_LOADING


async def long_call(fleet: Fleet, backend: FakeBackend) -> asyncio.Task[str]:
    """Have a call begin that ends once its backend may."""
    backend.may_end.clear()
    running = asyncio.create_task(answer(fleet))
    async with asyncio.timeout(10):
        while not backend.calls:  # noqa: ASYNC110 - a backend tells nobody
            await asyncio.sleep(0)
    return running


async def test_a_model_put_back_under_a_long_call_serves_by_the_version_still_open() -> None:
    host = FakeHost()
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    (first,) = host.open_backends["a"]
    running = await long_call(fleet, first)
    fleet.serve(configured({}))
    await until_leaving(fleet)
    fleet.serve(configured({"a": (1, "fine")}))
    assert not (await until_card(fleet, 1, READY)).problem
    first.may_end.set()
    assert await answer(fleet) == "1"
    assert await running == "1"
    assert host.attempts == 1
    assert not first.is_closed
    await fleet.close()


async def until_leaving(fleet: Fleet) -> None:
    """Wait until a model that was removed takes no calls any more."""
    async with asyncio.timeout(10):
        while await fleet.cards():  # noqa: ASYNC110 - cards tell nobody
            await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_model_put_back_under_a_long_call_serves_by_another_version() -> None:
    host = FakeHost()
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    (first,) = host.open_backends["a"]
    running = await long_call(fleet, first)
    fleet.serve(configured({}))
    await until_leaving(fleet)
    fleet.serve(configured({"a": (2, "fine")}))
    await until_card(fleet, 2, READY)
    assert await answer(fleet) == "2"
    first.may_end.set()
    assert await running == "1"
    await fleet.close()


async def test_a_version_is_mended_while_the_one_before_has_a_long_call() -> None:
    host = FakeHost()
    fleet = Fleet(host, NO_WAIT)
    running = []
    for version in (1, 2, 3):
        fleet.serve(configured({"a": (version, "fine")}))
        await until_card(fleet, version, READY)
        running.append(await long_call(fleet, host.open_backends["a"][-1]))
    # No more than that: each takes its memory.
    fleet.serve(configured({"a": (4, "fine")}))
    async with asyncio.timeout(10):
        while not (problem := (await fleet.cards())["a"].problem):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    assert problem == "version 4: is loaded once the calls in earlier versions have ended"
    assert host.attempts == 3
    host.open_backends["a"][0].may_end.set()
    assert not (await until_card(fleet, 4, READY)).problem
    for backend in host.open_backends["a"]:
        backend.may_end.set()
    assert await asyncio.gather(*running) == ["1", "2", "3"]
    assert await answer(fleet) == "4"
    await fleet.close()


async def test_a_version_wanted_again_while_it_is_given_up_is_opened_once_it_is_gone() -> None:
    host = FakeHost(may_give_up=asyncio.Event())
    fleet = Fleet(host, NO_WAIT)
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, READY)
    fleet.serve(configured({}))
    async with asyncio.timeout(10):
        while not host.given_up:  # noqa: ASYNC110 - a host tells nobody
            await asyncio.sleep(0)
    fleet.serve(configured({"a": (1, "fine")}))
    await until_card(fleet, 1, LOADING)
    with pytest.raises(MeshError, match="model 'a' is being loaded"):
        await answer(fleet)
    assert host.attempts == 1
    host.may_give_up.set()
    await until_card(fleet, 1, READY)
    assert await answer(fleet) == "1"
    assert host.attempts == 2
    await fleet.close()
