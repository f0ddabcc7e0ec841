"""What an engine is to the link: it takes a prompt, and gives pieces of its choices."""

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from catenary.v1 import generation_pb2 as pb
from infra.engine.engine import Generation
from infra.engine.figures import Load
from infra.engine.frames import Timings
from services.inference.features import Refusals
from services.link import Call


class EngineRequest(NamedTuple):
    """One request to an engine."""

    prompt: str
    """The prompt as text; `generation` has its tokens."""
    generation: Generation


class Piece(msgspec.Struct, frozen=True):
    """What an engine says at once of one choice. The first of a stream says nothing of any.

    An empty first piece means that the engine has taken the request.
    """

    text: str = ""
    """What follows the text so far; never half a character."""
    output_tokens: int = 0
    """How many tokens it is made of."""
    choice: int = 0
    logprobs: Sequence[pb.TokenLogprob] = ()
    finish_reason: str = ""
    """`stop` or `length`, in the last piece of a choice."""
    matched_stop: str = ""
    """The stop text that ended the choice, where the engine tells."""
    timings: Timings | None = None
    """In the last piece of all, where the engine tells."""
    cached_input_tokens: int = 0
    """How much of the prompt the engine had in its KV cache, where it tells."""
    load: Load | None = None
    """How busy the engine is, in the last piece of all, where the engine tells."""


class EngineClient(Protocol):
    """Reaches one engine."""

    @property
    def name(self) -> str:
        """What computes, for example `openvino`."""
        ...

    @property
    def refusals(self) -> Refusals:
        """What the engine cannot do."""
        ...

    async def open(self) -> None:
        """Return when the engine can generate.

        Raises:
            MeshError: it cannot; with a time to come back, not yet.
            OSError, ValueError: it cannot be started.
        """
        ...

    def generate(self, request: EngineRequest, call: Call) -> AsyncGenerator[Piece, None]:
        """Stream the pieces of a generation; closing the stream frees the engine's place.

        Raises:
            MeshError: the engine refuses the request, fails, or cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Give back what the client holds; no generation is in flight."""
        ...
