"""What the gateway's process serves beside health and reflection: three contracts over one link."""

from collections.abc import Mapping

from catenary.v1 import models_pb2, models_pb2_grpc, openai_pb2, openai_pb2_grpc
from services.gateway.ledger import Ledger
from services.gateway.models import ModelsServicer
from services.gateway.openai.servicer import OpenAIServicer
from services.link import Link
from services.server import Service, generation
from services.tracing import Tracing


def surfaces(link: Link, models: Mapping[str, models_pb2.Model], tracing: Tracing) -> list[Service]:
    """Return Generation, Models and OpenAI.

    Args:
        link: the gateway, with what observes it.
        models: the models that are served, by name.
        tracing: knows the span of the server's call.
    """
    ledger = Ledger(link)
    listed = ModelsServicer(models)
    openai = OpenAIServicer(ledger, models, tracing)
    return [
        generation(ledger, tracing),
        Service(
            models_pb2.DESCRIPTOR.services_by_name["Models"].full_name,
            lambda server: models_pb2_grpc.add_ModelsServicer_to_server(listed, server),
        ),
        Service(
            openai_pb2.DESCRIPTOR.services_by_name["OpenAI"].full_name,
            lambda server: openai_pb2_grpc.add_OpenAIServicer_to_server(openai, server),
        ),
    ]
