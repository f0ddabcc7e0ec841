"""What the filter asks of a profile: what is found in a piece of an answer, and what is done."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from catenary.config.v1 import safety_pb2
from services.safety.detector import Detector, Finding, Text


class Judged(NamedTuple):
    """One finding in a text, and what the profile does about it."""

    start: int
    end: int
    action: safety_pb2.SafetyAction.ValueType
    """On the way out PSEUDONYMISE is as REDACT: nobody could turn the placeholder back."""
    finding: Finding
    would: safety_pb2.SafetyAction.ValueType = safety_pb2.SAFETY_ACTION_UNSPECIFIED
    """What would be done, were the rule in force; unspecified where it is."""
    text: str = ""
    """Of an answer, the characters that are blocked: for the audit alone."""


class Rules(Protocol):
    """A profile's rules for what the model says. A call keeps the same ones to its end."""

    @property
    def profile(self) -> str:
        """The profile's name, for decisions."""
        ...

    @property
    def detectors(self) -> Sequence[Detector]:
        """Those that have a rule for output."""
        ...

    @property
    def holds_sentences(self) -> bool:
        """A detector of whole texts may block: no sentence leaves before it was judged."""
        ...

    def judged(self, text: Text) -> Sequence[Judged]:
        """Return what the detectors with a reach find, in any order; spans as in `text.raw`.

        The same text is always judged alike: nothing is remembered from one to the next.
        """
        ...

    def judged_whole(self, text: Text) -> Sequence[Judged]:
        """Return what the detectors of whole texts find: those whose reach is 0.

        It is nowhere in particular, so that nothing is blotted out: it blocks, or is only told.
        """
        ...
