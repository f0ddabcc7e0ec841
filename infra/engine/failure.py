"""Why a generation failed, for whoever asked for it to act on."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a generation failed, for the caller to act on."""

    INVALID = "INVALID"
    """The request breaks the contract."""
    QUEUE_FULL = "QUEUE_FULL"
    """As many requests or tokens wait as may."""
    TOO_MANY_GUIDES = "TOO_MANY_GUIDES"
    """As many guides are being compiled as may."""
    DEADLINE_TOO_SHORT = "DEADLINE_TOO_SHORT"
    """By the engine's pace of late, there is no time left for it."""
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    """Its time is up."""
    ENGINE_FAILED = "ENGINE_FAILED"
    """The engine died under the request."""
    ENGINE_RESTARTING = "ENGINE_RESTARTING"
    """The engine had died before it could take the request, and is not back yet."""
    ENGINE_BROKEN = "ENGINE_BROKEN"
    """The engine had died, and could not be started again the last time; it is tried on."""
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    """The KV cache cannot hold the sequence."""
    CANCELLED = "CANCELLED"
    """The caller has left."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed generation."""

    reason: Reason
    message: str
    retry_after_s: float | None = None
    """How long to wait before trying again; None where that is not known."""
    field: str = ""
    """The input that is to blame, if one is."""
