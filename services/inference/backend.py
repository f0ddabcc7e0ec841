"""What every backend of the inference link is: it computes one model."""

from collections.abc import Sequence
from typing import Protocol

from catenary.v1 import embeddings_pb2
from catenary.v1 import generation_pb2 as pb
from services.link import Call, Events


class Backend(Protocol):
    """Computes one model, by whatever means.

    What it cannot do, it refuses with UNSUPPORTED that names the field, before anything is sent.
    """

    @property
    def engine(self) -> str:
        """What computes it, for example `openvino`."""
        ...

    @property
    def capabilities(self) -> Sequence[str]:
        """What the model can do, in words for its card."""
        ...

    async def open(self) -> None:
        """Return when the backend can compute; nothing is asked of it before.

        Raises:
            MeshError: it cannot; with a time to come back, not yet.
            OSError, ValueError: it cannot be started.
        """
        ...

    def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream `started`, once the engine has taken the request, then all that follows.

        Raises:
            MeshError: the request is refused, or the engine fails.
        """
        ...

    async def count_tokens(self, request: pb.GenerateRequest, call: Call) -> int:
        """Return the tokens of the prompt that `request` would make.

        Raises:
            MeshError: the messages are refused, or the backend cannot count.
        """
        ...

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return a vector for each text.

        Raises:
            MeshError: UNSUPPORTED where the model makes no vectors, or the backend fails.
        """
        ...

    async def close(self) -> None:
        """Give back what the backend holds; no call is in flight."""
        ...
