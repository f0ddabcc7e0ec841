"""The models that can be asked for, told in the mesh's own contract."""

from collections.abc import Mapping

import grpc

from catenary.v1 import models_pb2 as pb
from catenary.v1 import models_pb2_grpc
from services import errors
from services.gateway.validation import check


def find(models: Mapping[str, pb.Model], request: pb.GetModelRequest) -> pb.Model:
    """Return the model that is asked for.

    Raises:
        MeshError: INVALID_REQUEST or MODEL_NOT_FOUND.
    """
    check(request)
    if request.model not in models:
        raise errors.model_not_found(request.model)
    return models[request.model]


class ModelsServicer(models_pb2_grpc.ModelsServicer):
    """Serves `catenary.v1.Models`."""

    def __init__(self, models: Mapping[str, pb.Model]) -> None:
        self._models = models

    async def ListModels(  # noqa: N802 - gRPC's name
        self,
        request: pb.ListModelsRequest,  # noqa: ARG002 - gRPC's signature
        context: grpc.aio.ServicerContext[pb.ListModelsRequest, pb.ListModelsResponse],  # noqa: ARG002
    ) -> pb.ListModelsResponse:
        """List every model, by name."""
        return pb.ListModelsResponse(models=[self._models[name] for name in sorted(self._models)])

    async def GetModel(  # noqa: N802 - gRPC's name
        self,
        request: pb.GetModelRequest,
        context: grpc.aio.ServicerContext[pb.GetModelRequest, pb.Model],
    ) -> pb.Model:
        """Describe one model."""
        try:
            return find(self._models, request)
        except errors.MeshError as error:
            await errors.abort(context, error)
