"""What is asked of the safety policy alone: what it would say of a text, and which it is."""

from dataclasses import dataclass
from typing import Protocol

import grpc
from google.api.httpbody_pb2 import HttpBody

from catenary.v1 import safety_pb2 as pb
from catenary.v1 import safety_pb2_grpc
from services import json_body
from services.link import Call
from services.server import Service
from services.tracing import Tracing
from services.unary import Answerer, Context, Identify, remotely


class Checker(Protocol):
    """Knows the policy."""

    async def check(self, request: pb.CheckRequest, call: Call) -> pb.CheckResponse:
        """Tell what would be done about a text."""
        ...

    async def get_policy(self, request: pb.GetPolicyRequest, call: Call) -> pb.GetPolicyResponse:
        """Tell which policy is in force."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteChecker:
    """Asks the safety link's process, through a channel that its owner closes."""

    name: str
    """The link at the other end, as errors name it."""
    channel: grpc.aio.Channel
    tracing: Tracing

    async def check(self, request: pb.CheckRequest, call: Call) -> pb.CheckResponse:
        """Return what the other process would do about a text."""
        stub = safety_pb2_grpc.SafetyStub(self.channel)
        return await remotely(stub.Check, request, call, self.name, self.tracing)

    async def get_policy(self, request: pb.GetPolicyRequest, call: Call) -> pb.GetPolicyResponse:
        """Return the other process's policy."""
        stub = safety_pb2_grpc.SafetyStub(self.channel)
        return await remotely(stub.GetPolicy, request, call, self.name, self.tracing)


class SafetyServicer(safety_pb2_grpc.SafetyServicer):
    """Serves `catenary.v1.Safety`."""

    def __init__(self, checker: Checker, tracing: Tracing, identify: Identify) -> None:
        self._checker = checker
        self._answerer = Answerer(tracing, identify)

    async def Check(  # noqa: N802 - gRPC's name
        self, request: pb.CheckRequest, context: Context
    ) -> pb.CheckResponse:
        """Answer with what would be done about a text."""
        return await self._answerer(self._checker.check, request, context)

    async def CheckJson(  # noqa: N802 - gRPC's name
        self, request: HttpBody, context: Context
    ) -> HttpBody:
        """Answer a body of JSON with one."""
        return await self._answerer(self._check_json, request, context)

    async def _check_json(self, request: HttpBody, call: Call) -> HttpBody:
        asked = json_body.read(request, pb.CheckRequest())
        return json_body.written(await self._checker.check(asked, call))

    async def GetPolicy(  # noqa: N802 - gRPC's name
        self, request: pb.GetPolicyRequest, context: Context
    ) -> pb.GetPolicyResponse:
        """Answer with the policy."""
        return await self._answerer(self._checker.get_policy, request, context)


def checking(checker: Checker, tracing: Tracing, identify: Identify = lambda call: call) -> Service:
    """Return what serves checks; `identify` says who calls, where the callers are not links."""
    servicer = SafetyServicer(checker, tracing, identify)
    return Service(
        pb.DESCRIPTOR.services_by_name["Safety"].full_name,
        lambda server: safety_pb2_grpc.add_SafetyServicer_to_server(servicer, server),
    )
