"""How the model's own turn begins, behind what its template writes: where it goes on from.

A thought that the template opens is closed again where the model is to answer at once.
"""

from collections.abc import Callable
from typing import NamedTuple

from catenary.v1 import generation_pb2 as pb
from services.inference.formats import ReasoningFormat
from services.inference.parsing.reasoning import CLOSE, OPEN


class Opening(NamedTuple):
    """The beginning of the model's turn."""

    text: str
    """What follows the template's prompt."""
    is_thinking: bool
    """The model goes on with a thought."""


def opening(
    rendered: str,
    continuation: pb.Continuation,
    reasoning: ReasoningFormat,
    protect: Callable[[str], str],
    *,
    is_held: bool,
) -> Opening:
    """Return how the model's turn begins; `is_held`: it is held to a form, which has no thoughts.

    Every text of a caller's passes through `protect`.
    """
    is_open = reasoning == ReasoningFormat.THINK and rendered.rstrip().endswith(OPEN)
    answers = bool(continuation.text) or is_held
    start = ""
    if continuation.reasoning:
        start = ("" if is_open else f"{OPEN}\n") + protect(continuation.reasoning)
        is_open = True
    if is_open and answers:
        start += f"\n{CLOSE}\n\n"
    return Opening(start + protect(continuation.text), is_thinking=is_open and not answers)
