"""Asks a part of the mesh whether it can serve, and which version it is."""

import asyncio
import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from catenary.v1 import models_pb2, models_pb2_grpc

DEADLINE_S = 2.0
_SETTLED = (models_pb2.Model.STATE_READY, models_pb2.Model.STATE_UNREACHABLE)
"""How long a part may take to answer."""


class NotReadyError(Exception):
    """A part that cannot serve; its text says why, in a few words."""


class FailedError(Exception):
    """A part that can serve, but not all that it should; its text says why, in a few words."""


async def link(address: str) -> None:
    """Ask a process of links, by gRPC's own health service.

    Raises:
        NotReadyError: it does not answer, or not that it serves.
    """
    async with grpc.aio.insecure_channel(address) as channel:
        # The stubs of this package do not tell what it has.
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise _no_answer(error) from None
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        raise NotReadyError("does not serve")


async def models(address: str) -> None:
    """Ask a process with the inference link, and whether each of its models serves.

    Raises:
        NotReadyError: it does not answer, or a model is being loaded.
        FailedError: a model cannot be loaded.
    """
    await link(address)
    async with grpc.aio.insecure_channel(address) as channel:
        stub = models_pb2_grpc.ModelsStub(channel)
        try:
            reply = await stub.ListModels(models_pb2.ListModelsRequest(), timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise _no_answer(error) from None
    for model in reply.models:
        if model.state == models_pb2.Model.STATE_FAILED:
            raise FailedError(f"cannot serve model {model.name!r}: {model.problem}")
    for model in reply.models:
        # One that is somebody else's and does not answer holds up no other.
        if model.state not in _SETTLED:
            raise NotReadyError(f"has not loaded model {model.name!r} yet")


async def triton(address: str, models: Sequence[str]) -> str:
    """Ask Triton, and each of the models that it should have loaded; return its version.

    Raises:
        NotReadyError: it does not answer, or a model is not ready.
    """
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            for model in models:
                request = service_pb2.ModelReadyRequest(name=model)
                if not (await stub.ModelReady(request, timeout=DEADLINE_S)).ready:
                    raise NotReadyError(f"model {model!r} is not loaded")
            request = service_pb2.ServerMetadataRequest()
            return str((await stub.ServerMetadata(request, timeout=DEADLINE_S)).version)
        except grpc.aio.AioRpcError as error:
            raise _no_answer(error) from None


async def envoy(admin: str) -> str:
    """Ask Envoy, and whether each link behind it has a healthy replica; return its version.

    Raises:
        NotReadyError: it does not answer, is not live, or a link has no healthy replica.
    """
    return await asyncio.to_thread(_envoy, admin)


def _envoy(admin: str) -> str:
    host, _, port = admin.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=DEADLINE_S)
    try:
        info = json.loads(_get(connection, "/server_info"))
        clusters = _get(connection, "/clusters")
    except (OSError, HTTPException):
        raise NotReadyError("does not answer") from None
    finally:
        connection.close()
    if info["state"] != "LIVE":
        raise NotReadyError(f"is {info['state'].lower()}")
    healthy: dict[str, bool] = {}
    for line in clusters.splitlines():
        cluster, _, statistic = line.partition("::")
        _, marker, flags = statistic.partition("::health_flags::")
        if marker:
            healthy[cluster] = healthy.get(cluster, False) or flags == "healthy"
    for cluster, has_replica in healthy.items():
        if not has_replica:
            raise NotReadyError(f"no replica of {cluster} is healthy")
    # commit/version/state of its sources/kind of build/TLS library
    return str(info["version"].split("/")[1])


def _get(connection: HTTPConnection, path: str) -> str:
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def _no_answer(error: grpc.aio.AioRpcError) -> NotReadyError:
    unreachable = error.code() in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    )
    return NotReadyError("does not answer" if unreachable else f"answers {error.code().name}")
