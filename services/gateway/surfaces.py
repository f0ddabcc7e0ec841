"""What the gateway's process serves beside health and reflection: its contracts."""

from catenary.v1 import openai_pb2, openai_pb2_grpc
from services import unary as unary_calls
from services.catalogue import Catalogue, listing
from services.checks import Checker, checking
from services.gateway.identity import identified
from services.gateway.ledger import Ledger
from services.gateway.models import ModelsServicer
from services.gateway.openai.servicer import OpenAIServicer
from services.link import Link
from services.served import Served
from services.server import Service, generation
from services.tracing import Tracing
from services.unary import Unary


def surfaces(  # noqa: PLR0917 - each is another part of the process
    link: Link,
    unary: Unary,
    checker: Checker,
    catalogue: Catalogue,
    served: Served,
    tracing: Tracing,
) -> list[Service]:
    """Return Generation, Embeddings, Tokens, Safety, Models and OpenAI.

    Args:
        link: the gateway, with what observes it.
        unary: its other half, for what is no stream, observed likewise.
        checker: knows the safety policy.
        catalogue: tells which models are served.
        served: tells whether these are the ones of models.yaml.
        tracing: knows the span of the server's call.
    """
    ledger = Ledger(link)
    openai = OpenAIServicer(ledger, unary, catalogue, tracing)
    return [
        generation(ledger, tracing),
        *unary_calls.services(unary, tracing, identified),
        checking(checker, tracing, identified),
        listing(ModelsServicer(catalogue, served)),
        Service(
            openai_pb2.DESCRIPTOR.services_by_name["OpenAI"].full_name,
            lambda server: openai_pb2_grpc.add_OpenAIServicer_to_server(openai, server),
        ),
    ]
