"""The link that decides where a request is computed."""

from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Counter

from catenary.config.v1 import mesh_pb2 as config_pb
from catenary.v1 import decision_pb2
from catenary.v1 import generation_pb2 as pb
from services import telemetry
from services.link import Call, Events, Link
from services.router.policy import Policy


@dataclass(frozen=True, slots=True)
class Router:
    """Sends each request on under the name of the model that serves it."""

    upstream: Link
    policy: Policy
    decisions: Counter

    @classmethod
    def configured(
        cls,
        upstream: Link,
        config: config_pb.RouterConfig,
        models: AbstractSet[str],
        registry: CollectorRegistry,
    ) -> Self:
        """Build the link as the configuration says."""
        decisions = Counter(
            telemetry.ROUTER_DECISIONS,
            "Requests by the model and backend that they were sent to, and the policy that chose.",
            ("model", "backend", "policy"),
            registry=registry,
        )
        return cls(upstream, Policy(models, dict(config.aliases)), decisions)

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the events of the model that the request is sent to.

        Raises:
            MeshError: MODEL_NOT_FOUND; the upstream is not called then.
        """
        choice = self.policy.choose(request.model)
        self.decisions.labels(choice.routed_model, choice.backend, choice.policy).inc()
        sent = _renamed(request, choice.routed_model)
        async with aclosing(self.upstream.generate(sent, call)) as events:
            async for event in events:
                if event.HasField("started"):
                    yield _requested(event, request.model)
                    decision = decision_pb2.Decision(router=choice)
                    yield pb.GenerateResponse(decision=decision)
                else:
                    yield event


def _renamed(request: pb.GenerateRequest, model: str) -> pb.GenerateRequest:
    if model == request.model:
        return request
    renamed = pb.GenerateRequest()
    renamed.CopyFrom(request)
    renamed.model = model
    return renamed


def _requested(started: pb.GenerateResponse, model: str) -> pb.GenerateResponse:
    """Name the model that the caller asked for, whichever it was sent to."""
    renamed = pb.GenerateResponse()
    renamed.CopyFrom(started)
    renamed.started.model = model
    return renamed
