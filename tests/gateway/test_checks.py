"""How the safety policy is asked from outside."""

import json
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.v1 import decision_pb2, error_reason_pb2, safety_pb2, safety_pb2_grpc
from services import errors, json_body, rpc_status
from services.gateway.places import Places
from services.gateway.unary import GatewayChecker
from tests.fakes import Checking, Scripted, answer, call
from tests.gateway.parts import gateway_config, serve

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


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


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b"", "", "the body must be a JSON object"),
        (b"[1]", "", "the body must be a JSON object"),
        (b'{"text": "\xff"}', "", "the body must be a JSON object"),
        (b"{}", "text", "value is required"),
        (b'{"text": ""}', "text", "value is required"),
        (b'{"text": null}', "text", "value is required"),
        (b'{"txt": "a secret"}', "txt", "there are text, profile, source"),
        (b'{"text": 7}', "text", "must be a string"),
        (b'{"text": ["a secret"]}', "text", "must be a string"),
        (b'{"text": "a", "source": "a secret"}', "source", "TEXT_SOURCE_DOCUMENT"),
    ],
)
async def test_a_body_that_is_no_check_is_refused_by_the_name_of_its_field(
    body: bytes, field: str, says: str
) -> None:
    async with AsyncExitStack() as closing:
        stub = safety_pb2_grpc.SafetyStub(await serve(Scripted(answer("x")), closing))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.CheckJson(HttpBody(data=body))
    error = rpc_status.from_rpc_error(caught.value, "gateway")
    assert error.reason == error_reason_pb2.ERROR_REASON_INVALID_REQUEST
    assert [one.field for one in error.violations] == [field]
    assert says in error.message
    assert "a secret" not in str(error)


@pytest.mark.parametrize("source", ["TEXT_SOURCE_ANSWER", 4])
async def test_a_check_in_json_is_answered_with_every_field(source: object) -> None:
    async with AsyncExitStack() as closing:
        stub = safety_pb2_grpc.SafetyStub(await serve(Scripted(answer("x")), closing))
        body = json.dumps({"text": "a", "source": source}).encode()
        told = await stub.CheckJson(HttpBody(data=body))
    assert told.content_type == "application/json"
    assert json.loads(told.data) == {
        "verdict": "VERDICT_ALLOW",
        "profile": "own",
        "findings": [],
        "text": "",
    }


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["text", "profile", "source", "x"]), any_json))
def test_any_object_is_read_or_refused(given_body: dict[str, Any]) -> None:
    body = HttpBody(data=json.dumps(given_body).encode())
    refused = error_reason_pb2.ERROR_REASON_INVALID_REQUEST
    try:
        json_body.read(body, safety_pb2.CheckRequest())
    except errors.MeshError as error:
        refused = error.reason
    assert refused == error_reason_pb2.ERROR_REASON_INVALID_REQUEST
