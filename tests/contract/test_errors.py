"""An error keeps its meaning over any number of hops; a defect shows nothing of itself."""

import logging

import pytest

from catenary.v1 import error_reason_pb2
from services import errors, rpc_status
from services.chain import Wrapper
from tests.conftest import Topology
from tests.fakes import Scripted, Step, call, delta, outcome, request, started

ERRORS = [
    errors.queue_full("pocket", 2.5),
    errors.upstream_failed("triton"),
    errors.engine_restarting("pocket", 1.0),
    errors.deadline_exceeded(),
    errors.context_window_exceeded(900, 512, 1024),
    errors.unsupported("sampling.logit_bias", "pocket", "the engine has no such thing"),
    errors.invalid_request(
        [errors.Violation("a", "must be ä"), errors.Violation("b[0].c", "must not be b")]
    ),
    errors.internal(),
]


@pytest.mark.parametrize("before", [[], [started()], [started(), delta("lorem ipsum ")]], ids=len)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.reason_name)
async def test_an_error_arrives_as_it_was_raised(
    topology: Topology, wrap: Wrapper, error: errors.MeshError, before: list[Step]
) -> None:
    link = await topology.chain(wrap, terminal=Scripted([*before, error]))
    events, caught = await outcome(link, request(), call())
    assert isinstance(caught, errors.MeshError)
    assert [event for event in events if not event.HasField("decision")] == before
    for part in ("reason", "message", "metadata", "retry_after_s", "violations"):
        assert getattr(caught, part) == getattr(error, part)


async def test_a_defect_shows_nothing_of_itself_but_in_the_log(
    topology: Topology, wrap: Wrapper, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = Scripted([started(), RuntimeError("a secret")])
    link = await topology.chain(wrap, terminal=upstream)
    # Whoever calls from outside meets a server, in every placement.
    served = await topology.behind_server(link)
    with caplog.at_level(logging.ERROR), pytest.raises(errors.MeshError) as caught:
        _ = [event async for event in served.generate(request(), call())]
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_INTERNAL
    assert caught.value.message == errors.internal().message
    assert "a secret" not in str(rpc_status.to_status(caught.value))
    record = next(record for record in caplog.records if record.getMessage() == "defect")
    assert record.__dict__["request_id"] == "r-1"
    assert "a secret" in caplog.text
