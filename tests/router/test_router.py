"""The router: whose model answers, and what the caller sees of it."""

import pytest
from prometheus_client import CollectorRegistry

from catenary.config.v1.mesh_pb2 import RouterConfig
from catenary.v1 import decision_pb2, error_reason_pb2
from services.errors import MeshError
from services.link import Link
from services.router import Router
from tests.conftest import Topology
from tests.fakes import Scripted, answer, call, request


def router(upstream: Link, registry: CollectorRegistry | None = None) -> Router:
    config = RouterConfig(aliases={"gpt-5": "pocket"})
    return Router.configured(upstream, config, {"pocket"}, registry or CollectorRegistry())


async def test_a_model_is_found_by_its_name(topology: Topology) -> None:
    upstream = Scripted(answer("hi"))
    link = await topology.chain(router, terminal=upstream)
    events = [event async for event in link.generate(request(), call())]
    assert events[1].decision.router == decision_pb2.RouterDecision(
        requested_model="pocket",
        routed_model="pocket",
        backend="triton",
        policy="by_name",
        reason="the model was asked for by its name",
    )
    assert upstream.requests[0].model == "pocket"


async def test_an_alias_is_sent_on_under_the_name_of_its_model(topology: Topology) -> None:
    upstream = Scripted(answer("hi"))
    link = await topology.chain(router, terminal=upstream)
    asked = request(model="gpt-5")
    events = [event async for event in link.generate(asked, call())]
    assert upstream.requests[0].model == "pocket"
    assert asked.model == "gpt-5"
    assert events[0].started.model == "gpt-5"
    assert events[-1].finished.served_model == "pocket"
    decision = events[1].decision.router
    assert (decision.requested_model, decision.routed_model) == ("gpt-5", "pocket")
    assert (decision.policy, decision.reason) == ("alias", "'gpt-5' is another name for 'pocket'")


async def test_nothing_else_of_the_request_changes() -> None:
    upstream = Scripted(answer("hi"))
    asked = request(model="gpt-5")
    asked.sampling.seed = 7
    _ = [event async for event in router(upstream).generate(asked, call())]
    sent = upstream.requests[0]
    sent.model = "gpt-5"
    assert sent == asked


async def test_a_model_by_its_name_costs_no_copy() -> None:
    upstream, asked = Scripted(answer("hi")), request()
    _ = [event async for event in router(upstream).generate(asked, call())]
    assert upstream.requests[0] is asked


@pytest.mark.parametrize("name", ["gpt-7", "POCKET", "", "pocket ", "triton"])
async def test_a_model_that_is_not_served_is_refused_before_anyone_is_asked(
    topology: Topology, name: str
) -> None:
    upstream = Scripted(answer("never"))
    link = await topology.chain(router, terminal=upstream)
    with pytest.raises(MeshError) as caught:
        _ = [event async for event in link.generate(request(model=name), call())]
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_MODEL_NOT_FOUND
    assert caught.value.metadata == {"model": name}
    assert upstream.calls == []


async def test_decisions_are_counted_under_the_model_that_serves(
    registry: CollectorRegistry,
) -> None:
    link = router(Scripted(answer("hi")), registry)
    _ = [event async for event in link.generate(request(model="gpt-5"), call())]
    labels = {"model": "pocket", "backend": "triton", "policy": "alias"}
    assert registry.get_sample_value("catenary_router_decisions_total", labels) == 1
