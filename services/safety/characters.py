"""Finds characters that are not seen, or that turn text around, where nothing needs them."""

from collections.abc import Sequence
from dataclasses import dataclass

from catenary.config.v1 import safety_pb2
from services.safety.detector import Detector, Finding, Text
from services.safety.invisible import ANY, RUN, rightful

_NAME = "characters"


@dataclass(frozen=True, slots=True)
class _Characters:
    name: str = _NAME
    threshold: float = 0.5
    reach: int = 1
    """Each character is judged alone: of a long run any piece is found."""

    def find(self, text: Text) -> Sequence[Finding]:
        raw = text.raw
        if ANY.search(raw) is None:
            return []
        return [
            Finding(run.start(), run.end(), _NAME, run.lastgroup or "", 1.0)
            for run in RUN.finditer(raw)
            if not rightful(raw, run, text.before)
        ]


def characters(_config: safety_pb2.CharactersDetector) -> Detector:
    """Build the detector; its categories are the kinds of `services.safety.invisible`."""
    return _Characters()
