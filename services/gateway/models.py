"""The models that can be asked for, told to callers from outside."""

from catenary.v1.models_pb2 import GetModelRequest, Model
from services import catalogue
from services.catalogue import Catalogue
from services.gateway.validation import check


class ModelsServicer(catalogue.ModelsServicer):
    """Serves `catenary.v1.Models` to callers who may break the contract."""

    def check(self, request: GetModelRequest) -> None:
        """Hold a request to the rules of its contract."""
        check(request)


async def find(known: Catalogue, request: GetModelRequest) -> Model:
    """Return the model that is asked for.

    Raises:
        MeshError: INVALID_REQUEST, MODEL_NOT_FOUND, or the inference link cannot be asked.
    """
    check(request)
    return await catalogue.find(known, request.model)
