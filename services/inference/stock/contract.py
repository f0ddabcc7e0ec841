"""What a stock contract is: how it is asked, and how its responses are read."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from infra.engine.engine import Generation
from infra.engine.frames import Timings
from services import errors
from services.inference.engine import Piece
from services.inference.features import Refusals
from services.inference.inputs import field_of
from services.inference.stock.deployment import Deployment
from services.inference.stock.tensors import Outputs, Value
from services.inference.stock.text import OpenText

FINISH_REASONS = frozenset({"stop", "length"})
"""Why a choice ends that has not failed."""

_DEFAULTS = {each.name: each.default for each in msgspec.structs.fields(Generation)}
_EVERYWHERE = {
    *("input_ids", "max_output_tokens", "n", "priority"),
    # Hints, which change no answer.
    *("cache_salt", "time_budget_ms", "trace_headers"),
}


class Question(NamedTuple):
    """A prompt, and what is wanted of it."""

    prompt: str
    """Without the tokens that the engine's tokenizer adds by itself."""
    generation: Generation
    seed: int
    """The choice's own; drawn where the caller gave none."""


class Reader(Protocol):
    """Reads the responses to one question: the pieces of one choice."""

    @property
    def text(self) -> OpenText:
        """The text of the choice."""
        ...

    async def read(self, outputs: Outputs) -> Piece:
        """Return what a response brings, perhaps nothing.

        Raises:
            ValueError: it is not a response of the contract's.
        """
        ...

    async def end(self) -> Piece:
        """Return what is to be said at the end of the stream, perhaps nothing."""
        ...


class Contract(Protocol):
    """A way to ask a model in Triton for a text."""

    @property
    def name(self) -> str:
        """The engine's name in configuration."""
        ...

    @property
    def refusals(self) -> Refusals:
        """What it has no tensors for, in any version."""
        ...

    @property
    def inputs(self) -> Mapping[str, str]:
        """The inputs, with their datatypes, that every version has."""
        ...

    @property
    def outputs(self) -> Mapping[str, str]:
        """The outputs, with their datatypes, that every version has."""
        ...

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields of `Generation` that can be asked for, each with the input that does it."""
        ...

    def ask(self, question: Question, deployment: Deployment) -> Mapping[str, Value]:
        """Return the inputs of a request; those that the model does not have are left out of it."""
        ...

    def reader(self, question: Question, deployment: Deployment) -> Reader:
        """Begin to read the responses."""
        ...


def refuse_unknown(
    model: str, generation: Generation, contract: Contract, deployment: Deployment
) -> None:
    """Refuse what is asked for that the contract, or the version of it in Triton, does not know.

    Raises:
        MeshError: UNSUPPORTED, naming the field.
    """
    for name, default in _DEFAULTS.items():
        if name in _EVERYWHERE or getattr(generation, name) in ([], {}, default):
            continue
        if contract.fields.get(name) not in deployment.inputs:
            problem = f"the model's engine ({contract.name}) has no input for it"
            raise errors.unsupported(field_of(name), model, problem)


def is_greedy(generation: Generation) -> bool:
    """Tell whether the likeliest token is always taken."""
    return generation.temperature == 0 or generation.top_k == 1


def timings(outputs: Outputs) -> Timings | None:
    """Return where the time went, from TensorRT-LLM's instants; None while it does not tell."""
    names = ("arrival", "first_scheduled", "first_token", "last_token")
    instants = [outputs.integer(f"{name}_time_ns") or 0 for name in names]
    if instants[0] == 0 or instants != sorted(instants):
        return None
    arrival, scheduled, first, last = instants
    return Timings(scheduled - arrival, first - scheduled, last - first)
