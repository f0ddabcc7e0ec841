"""How the safety policy is asked from outside."""

from contextlib import AsyncExitStack

import grpc
import pytest

from catenary.v1 import decision_pb2, error_reason_pb2, safety_pb2, safety_pb2_grpc
from services import errors
from services.gateway.places import Places
from services.gateway.unary import GatewayChecker
from tests.fakes import Checking, Scripted, answer, call
from tests.gateway.parts import gateway_config, serve


async def test_a_check_passes_with_an_identity_and_a_deadline() -> None:
    upstream = Checking()
    gateway = GatewayChecker(upstream, gateway_config(8), Places(8))
    told = await gateway.check(safety_pb2.CheckRequest(text="a"), call())
    assert told.verdict == decision_pb2.VERDICT_ALLOW
    assert upstream.calls[0].deadline is not None


async def test_what_breaks_the_contract_goes_no_further() -> None:
    upstream = Checking()
    gateway = GatewayChecker(upstream, gateway_config(8), Places(8))
    with pytest.raises(errors.MeshError) as caught:
        await gateway.check(safety_pb2.CheckRequest(text="a", profile="x" * 129), call())
    assert caught.value.violations[0].field == "profile"
    assert upstream.calls == []


async def test_checks_take_places_beside_the_streams() -> None:
    places = Places(1)
    gateway = GatewayChecker(Checking(), gateway_config(8), places)
    with places.take(), pytest.raises(errors.MeshError) as caught:
        await gateway.get_policy(safety_pb2.GetPolicyRequest(), call())
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_OVERLOADED


async def test_callers_reach_it_over_grpc() -> None:
    async with AsyncExitStack() as closing:
        channel = await serve(Scripted(answer("x")), closing)
        stub = safety_pb2_grpc.SafetyStub(channel)
        told = await stub.Check(safety_pb2.CheckRequest(text="a"))
        assert told.profile == "own"
        assert (await stub.GetPolicy(safety_pb2.GetPolicyRequest())).profiles == ["own"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(safety_pb2.CheckRequest(text="a", profile="x" * 129))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
