"""The gateway: the link that callers from outside meet first."""

from contextlib import aclosing, closing
from dataclasses import dataclass, replace

from catenary.config.v1.mesh_pb2 import GatewayConfig
from catenary.v1 import generation_pb2 as pb
from catenary.v1.decision_pb2 import Decision, GatewayDecision
from services import errors
from services.gateway.deadline import Deadline, budgeted
from services.gateway.identity import identified
from services.gateway.places import Places
from services.gateway.validation import check_generate
from services.link import Call, Events, Link


@dataclass(frozen=True, slots=True)
class Gateway:
    """Lets in what keeps the contract, says who called, and keeps the call's budget of time.

    Links behind it trust what it passes on.
    """

    upstream: Link
    config: GatewayConfig
    places: Places
    """Shared with whatever else the gateway lets in."""

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the upstream's events, the gateway's own decision right behind `started`.

        Raises:
            MeshError: INVALID_REQUEST, OVERLOADED, DEADLINE_EXCEEDED, or the upstream's own.
        """
        check_generate(request)
        call = budgeted(identified(call, request.request_id), self.config)
        request = _named(request, call.request_id)
        decision, has_started = _decision(call), False
        with self.places.take(), closing(Deadline(call.time_remaining() or 0.0)) as deadline:
            try:
                async with aclosing(self.upstream.generate(request, call)) as events:
                    while (event := await deadline.next_of(events)) is not None:
                        yield event
                        if event.HasField("started"):
                            has_started = True
                            yield pb.GenerateResponse(decision=decision)
            except errors.MeshError as error:
                if has_started:
                    raise
                # A copy: callers that wait for one generation are told one and the same error.
                raise replace(error, decisions=(decision, *error.decisions)) from None


def _named(request: pb.GenerateRequest, request_id: str) -> pb.GenerateRequest:
    if request.request_id == request_id:
        return request
    named = pb.GenerateRequest()
    named.CopyFrom(request)
    named.request_id = request_id
    return named


def _decision(call: Call) -> Decision:
    return Decision(gateway=GatewayDecision(tenant=call.tenant, key_id=call.key_id))
