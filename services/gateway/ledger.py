"""Who sees the decisions of the links: callers who ask for them, and nobody else."""

from contextlib import aclosing
from dataclasses import dataclass, replace

from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from services.link import Call, Events, Link


@dataclass(frozen=True, slots=True)
class Ledger:
    """Leaves decisions out of streams and errors whose caller did not ask for them.

    Stands before the gateway's hop, so that its span and its log line tell all decisions.
    """

    upstream: Link

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the upstream's events."""
        shown = request.controls.include_decisions
        async with aclosing(self.upstream.generate(request, call)) as events:
            try:
                async for event in events:
                    if shown or not event.HasField("decision"):
                        yield event
            except MeshError as error:
                raise error if shown else replace(error, decisions=()) from None
