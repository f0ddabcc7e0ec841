"""A mesh without an engine: serves the native RPCs over real gRPC, and says what it is told to."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from catenary.v1 import (
    decision_pb2,
    generation_pb2_grpc,
    message_pb2,
    models_pb2,
    models_pb2_grpc,
    safety_pb2,
)
from catenary.v1 import generation_pb2 as pb
from services import errors, rpc_status

DECISIONS = [
    decision_pb2.Decision(gateway=decision_pb2.GatewayDecision(tenant="default")),
    decision_pb2.Decision(
        safety=decision_pb2.SafetyDecision(
            verdict=decision_pb2.VERDICT_ALLOW, direction=decision_pb2.DIRECTION_INPUT
        )
    ),
    decision_pb2.Decision(
        cache=decision_pb2.CacheDecision(outcome=decision_pb2.CacheDecision.OUTCOME_MISS)
    ),
    decision_pb2.Decision(
        router=decision_pb2.RouterDecision(
            routed_model="pocket", backend="triton", policy="by_name"
        )
    ),
    decision_pb2.Decision(
        inference=decision_pb2.InferenceDecision(
            model="pocket",
            engine="openvino",
            queue_time=Duration(nanos=500_000),
            prefill_time=Duration(nanos=2_500_000),
            decode_time=Duration(nanos=10_000_000),
            input_tokens=7,
            cached_input_tokens=3,
            output_tokens=2,
        )
    ),
]


EMBEDDER = models_pb2.Model(name="embedder", capabilities=["embeddings"])
LOADING = models_pb2.Model(name="large", state=models_pb2.Model.STATE_LOADING)
POCKET = models_pb2.Model(name="pocket", capabilities=["chat"])


@dataclass
class FakeMesh(generation_pb2_grpc.GenerationServicer, models_pb2_grpc.ModelsServicer):
    """Answers every request alike, and keeps the requests."""

    pieces: list[str] = field(default_factory=lambda: ["Hello", ", you."])
    cuts: bool = False
    """The safety policy does not let the answer end."""
    hangs: bool = False
    """The answer never ends by itself."""
    models: list[models_pb2.Model] = field(default_factory=lambda: [EMBEDDER, LOADING, POCKET])
    refusal: str = ""
    policy: safety_pb2.GetPolicyResponse = field(default_factory=safety_pb2.GetPolicyResponse)
    requests: list[pb.GenerateRequest] = field(default_factory=list[pb.GenerateRequest])
    left: threading.Event = field(default_factory=threading.Event)
    """A caller left before its answer had ended."""
    address: str = ""

    def Generate(  # noqa: N802 - gRPC's name
        self, request: pb.GenerateRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GenerateResponse]:
        self.requests.append(request)
        over, complete = threading.Event(), threading.Event()

        def end() -> None:
            over.set()
            if not complete.is_set():
                self.left.set()

        context.add_callback(end)
        if request.model != "pocket":
            error = errors.model_not_found(request.model)
            context.set_trailing_metadata(
                ((rpc_status.STATUS_DETAILS, rpc_status.to_status(error).SerializeToString()),)
            )
            context.abort(error.code, error.message)
        yield pb.GenerateResponse(started=pb.Started(model=request.model))
        for decision in DECISIONS:
            yield pb.GenerateResponse(decision=decision)
        for piece in self.pieces:
            yield pb.GenerateResponse(delta=pb.Delta(text=piece, output_tokens=1))
        if self.hangs:
            over.wait(60)
            return
        complete.set()
        usage = message_pb2.Usage(input_tokens=7, output_tokens=len(self.pieces))
        finished = pb.Finished(usage=usage, served_model="pocket")
        if self.cuts:
            finished.choices.add(finish_reason=message_pb2.FINISH_REASON_CONTENT_FILTER)
        yield pb.GenerateResponse(finished=finished)

    def ListModels(  # noqa: N802 - gRPC's name
        self, request: models_pb2.ListModelsRequest, context: grpc.ServicerContext
    ) -> models_pb2.ListModelsResponse:
        del request, context
        return models_pb2.ListModelsResponse(models=self.models, refusal=self.refusal)

    def GetModel(  # noqa: N802 - gRPC's name
        self, request: models_pb2.GetModelRequest, context: grpc.ServicerContext
    ) -> models_pb2.Model:
        del context
        return models_pb2.Model(name=request.model)


def _telling(mesh: FakeMesh) -> grpc.GenericRpcHandler:
    """Answer which safety policy is in force, and nothing else of its service."""
    get_policy = grpc.unary_unary_rpc_method_handler(
        lambda _, context: mesh.policy,  # noqa: ARG005 - gRPC's own
        safety_pb2.GetPolicyRequest.FromString,
        safety_pb2.GetPolicyResponse.SerializeToString,
    )
    service = safety_pb2.DESCRIPTOR.services_by_name["Safety"].full_name
    return grpc.method_handlers_generic_handler(service, {"GetPolicy": get_policy})


@contextmanager
def serving(mesh: FakeMesh) -> Iterator[FakeMesh]:
    """Serve on a port of its own; `address` tells which."""
    server = grpc.server(ThreadPoolExecutor(4))
    generation_pb2_grpc.add_GenerationServicer_to_server(mesh, server)
    models_pb2_grpc.add_ModelsServicer_to_server(mesh, server)
    server.add_generic_rpc_handlers([_telling(mesh)])
    healthy: Any = health.HealthServicer()
    healthy.set("", health_pb2.HealthCheckResponse.SERVING)
    add_health: Any = health_pb2_grpc
    add_health.add_HealthServicer_to_server(healthy, server)
    mesh.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield mesh
    finally:
        server.stop(grace=None).wait()
