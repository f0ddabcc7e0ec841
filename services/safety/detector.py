"""What a detector is: it looks at one text, and says what it finds where."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import NamedTuple, Protocol

from services.safety.normalise import View, views


class Source(Enum):
    """Where a text stands."""

    USER = "user"
    """What the caller says, also in earlier turns."""
    SYSTEM = "system"
    """What whoever runs the application says."""
    TOOL = "tool"
    """What a tool says of itself and its parameters: its author may be anybody. It is shown to
    detectors that judge texts as a whole; the others see it as labels, where it can be changed."""
    LABEL = "label"
    """What is no prose: names, identities, schemas, what ends an answer. Detectors that judge texts
    as a whole are not shown it."""
    DOCUMENT = "document"
    """What comes from elsewhere: a tool's result, a document."""
    ANSWER = "answer"
    """What the model says."""


@dataclass(frozen=True)
class Text:
    """One text, with the forms of it that detectors share."""

    raw: str
    source: Source
    before: str = ""
    """What stood right before it and has been judged: only to be understood by.

    Within a long finding the beginning of that, and what stood right before.
    """

    @cached_property
    def views(self) -> Sequence[View]:
        """The text as it is, then what may be hidden in it: decoded, folded, joined."""
        return views(self.raw)


class Finding(NamedTuple):
    """One thing found; the characters from `start` to `end` of the raw text hold it."""

    start: int
    end: int
    detector: str
    category: str
    score: float
    """How sure the detector is, from 0 to 1."""
    severity: int = 0
    """From 1 (mild) to 4 (extreme); 0 where the detector does not tell."""


class Detector(Protocol):
    """Looks for one kind of thing. It is used by several threads at once."""

    @property
    def name(self) -> str:
        """What its findings call it."""
        ...

    @property
    def threshold(self) -> float:
        """The score from which its findings count, where the policy says nothing."""
        ...

    @property
    def reach(self) -> int:
        """The most characters that one finding takes in a stream.

        0 for a detector that judges texts as a whole: what it finds is not cut out of a stream but
        ends it.
        """
        ...

    def find(self, text: Text) -> Sequence[Finding]:
        """Return what is found, in time linear in the text's length.

        Whatever it raises means that it cannot tell.
        """
        ...
