"""The key: everything that changes the answer, and nothing else."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.cache.key import key
from tests.fakes import request

Change = Callable[[pb.GenerateRequest], object]

IN: dict[str, Change] = {
    "model": lambda r: setattr(r, "model", "other"),
    "messages": lambda r: r.messages.add(role=message_pb2.ROLE_USER),
    "sampling": lambda r: setattr(r.sampling, "seed", 0),
    "tools": lambda r: r.tools.add(name="t"),
    "tool_choice": lambda r: setattr(r.tool_choice, "mode", 1),
    "response_format": lambda r: setattr(r.response_format, "json_object", True),
    "continuation": lambda r: setattr(r.continuation, "text", "so far"),
    "parallel_tool_calls": lambda r: setattr(r, "parallel_tool_calls", False),
    "controls.safety_profile": lambda r: setattr(r.controls, "safety_profile", "strict"),
    "controls.routing.prefer_backends": lambda r: r.controls.routing.prefer_backends.append("b"),
    "controls.routing.policy": lambda r: setattr(r.controls.routing, "policy", "cheap"),
}
OUT: dict[str, Change] = {
    "request_id": lambda r: setattr(r, "request_id", "r-2"),
    "end_user": lambda r: setattr(r, "end_user", "u"),
    "controls.cache": lambda r: setattr(r.controls.cache, "mode", 3),
    "controls.priority": lambda r: setattr(r.controls, "priority", 0),
    "controls.include_decisions": lambda r: setattr(r.controls, "include_decisions", True),
    "controls.routing.session": lambda r: setattr(r.controls.routing, "session", "s"),
}


def test_every_field_of_a_request_is_in_the_key_or_out_of_it() -> None:
    fields = {
        f"{prefix}{field.name}"
        for prefix, descriptor in (
            ("", pb.GenerateRequest.DESCRIPTOR),
            ("controls.", pb.Controls.DESCRIPTOR),
            ("controls.routing.", pb.RoutingHints.DESCRIPTOR),
        )
        for field in descriptor.fields
    }
    assert fields - {"controls", "controls.routing"} == IN.keys() | OUT.keys()


@pytest.mark.parametrize("field", IN)
def test_what_changes_the_answer_changes_the_key(field: str) -> None:
    changed = request()
    IN[field](changed)
    assert key(changed, "t") != key(request(), "t")


@pytest.mark.parametrize("field", OUT)
def test_what_does_not_leaves_it(field: str) -> None:
    changed = request()
    OUT[field](changed)
    assert key(changed, "t") == key(request(), "t")
    assert changed != request()


def test_tenants_share_no_key() -> None:
    assert key(request(), "a") != key(request(), "b")


def test_a_tenant_cannot_be_named_into_another_ones_key() -> None:
    asked, bare = request(), request()
    bare.ClearField("model")
    assert key(asked, "a") != key(bare, "a\x12\x06pocket")


TEXTS = st.text("ab", max_size=3)
REQUESTS = st.builds(
    lambda model, text, temperature, bias: pb.GenerateRequest(
        model=model,
        messages=[
            message_pb2.Message(
                role=message_pb2.ROLE_USER, content=[message_pb2.ContentPart(text=text)]
            )
        ],
        sampling=message_pb2.Sampling(temperature=temperature, logit_bias=bias),
    ),
    TEXTS,
    TEXTS,
    st.sampled_from([None, 0.0, 0.5]),
    st.dictionaries(st.integers(0, 9), st.just(1.0), max_size=4),
)


@given(REQUESTS, TEXTS, REQUESTS, TEXTS)
def test_keys_are_equal_exactly_where_requests_and_tenants_are(
    a: pb.GenerateRequest, tenant_a: str, b: pb.GenerateRequest, tenant_b: str
) -> None:
    assert (key(a, tenant_a) == key(b, tenant_b)) == (a == b and tenant_a == tenant_b)


def test_the_order_in_which_a_map_was_filled_does_not_matter() -> None:
    one, other = request(), request()
    tokens = [token * 7919 % 100_003 for token in range(500)]
    for token, from_the_end in zip(tokens, reversed(tokens), strict=True):
        one.sampling.logit_bias[token] = 1
        other.sampling.logit_bias[from_the_end] = 1
    # Else the test would show nothing.
    assert one.SerializeToString() != other.SerializeToString()
    assert key(one, "t") == key(other, "t")


def test_the_request_is_not_changed() -> None:
    asked = request()
    asked.controls.priority = 1
    before = asked.SerializeToString()
    key(asked, "t")
    assert asked.SerializeToString() == before
