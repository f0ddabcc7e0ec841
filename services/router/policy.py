"""Chooses the model and the backend that a request is sent to."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from catenary.v1 import decision_pb2
from services import errors

TRITON = "triton"
"""The one backend there is: NVIDIA Triton, with every model that is served."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Sends a request to the model it names, by the model's own name or by an alias."""

    models: AbstractSet[str]
    """The models that are served."""
    aliases: Mapping[str, str]
    """Other names, each with the model that it stands for."""

    def choose(self, requested: str) -> decision_pb2.RouterDecision:
        """Decide where a request for a model goes.

        Raises:
            MeshError: MODEL_NOT_FOUND.
        """
        routed = self.aliases.get(requested, requested)
        if routed not in self.models:
            raise errors.model_not_found(requested)
        return decision_pb2.RouterDecision(
            requested_model=requested,
            routed_model=routed,
            backend=TRITON,
            policy="by_name" if routed == requested else "alias",
            reason=(
                "the model was asked for by its name"
                if routed == requested
                else f"{requested!r} is another name for {routed!r}"
            ),
        )
