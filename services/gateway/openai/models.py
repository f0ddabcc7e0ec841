"""Models as OpenAI's API tells them, with what it has no word for beside."""

from typing import Any

from catenary.v1.models_pb2 import Model


def described(card: Model) -> dict[str, Any]:
    """Return a model as JSON has it."""
    told: dict[str, Any] = {
        "id": card.name,
        "object": "model",
        "created": card.created_unix_s,
        "owned_by": card.owner,
        "context_window": card.context_window,
        "engine": card.engine,
        "version": card.version,
        "precision": card.precision,
        "capabilities": list(card.capabilities),
        "state": Model.State.Name(card.state).removeprefix("STATE_").lower(),
    }
    if card.HasField("price"):
        told["price"] = {
            "input": card.price.input,
            "output": card.price.output,
            "cached_input": card.price.cached_input,
        }
    return told
