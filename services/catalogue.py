"""Who tells which models are served: the inference link, in this process or in another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import grpc

from catenary.v1 import models_pb2 as pb
from catenary.v1 import models_pb2_grpc
from services import errors, rpc_status
from services.served import Served
from services.server import Service

_TIMEOUT_S = 5.0


class Catalogue(Protocol):
    """Knows the models' cards."""

    async def cards(self) -> Mapping[str, pb.Model]:
        """Return the card of every model, by name, as things stand now.

        Raises:
            MeshError: the inference link cannot be asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class RemoteCatalogue:
    """Asks the inference link's process, through a channel that its owner closes."""

    channel: grpc.aio.Channel

    async def cards(self) -> Mapping[str, pb.Model]:
        """Return the cards, as one replica of the link tells them."""
        stub = models_pb2_grpc.ModelsStub(self.channel)
        try:
            reply = await stub.ListModels(pb.ListModelsRequest(), timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise rpc_status.from_rpc_error(error, "inference") from None
        return {model.name: model for model in reply.models}


async def find(catalogue: Catalogue, name: str) -> pb.Model:
    """Return the card of one model.

    Raises:
        MeshError: MODEL_NOT_FOUND, or the inference link cannot be asked.
    """
    card = (await catalogue.cards()).get(name)
    if card is None:
        raise errors.model_not_found(name)
    return card


class ModelsServicer(models_pb2_grpc.ModelsServicer):
    """Serves `catenary.v1.Models`; whoever serves callers from outside checks what they ask."""

    def __init__(self, catalogue: Catalogue, served: Served) -> None:
        self._catalogue = catalogue
        self._served = served

    async def ListModels(  # noqa: N802 - gRPC's name
        self,
        request: pb.ListModelsRequest,  # noqa: ARG002 - gRPC's signature
        context: grpc.aio.ServicerContext[pb.ListModelsRequest, pb.ListModelsResponse],
    ) -> pb.ListModelsResponse:
        """List every model, by name."""
        try:
            cards = await self._catalogue.cards()
        except errors.MeshError as error:
            await rpc_status.abort(context, error)
        return pb.ListModelsResponse(
            models=[cards[name] for name in sorted(cards)], refusal=self._served.refusal
        )

    async def GetModel(  # noqa: N802 - gRPC's name
        self,
        request: pb.GetModelRequest,
        context: grpc.aio.ServicerContext[pb.GetModelRequest, pb.Model],
    ) -> pb.Model:
        """Describe one model."""
        try:
            self.check(request)
            return await find(self._catalogue, request.model)
        except errors.MeshError as error:
            await rpc_status.abort(context, error)

    def check(self, request: pb.GetModelRequest) -> None:
        """Let every request pass: links keep the contract."""


def listing(servicer: ModelsServicer) -> Service:
    """Return the service that tells the models."""
    return Service(
        pb.DESCRIPTOR.services_by_name["Models"].full_name,
        lambda server: models_pb2_grpc.add_ModelsServicer_to_server(servicer, server),
    )
