"""An admission without an engine, and who has begun there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.engine.admission import Admission, Demand, Displaced, Limits
from tests.fakes import Clock

TOKENS = 1000


@dataclass
class Desk:
    """An admission, and who has begun."""

    limits: Limits
    clock: Clock = field(default_factory=Clock)
    begun: list[int] = field(default_factory=list)
    admission: Admission = field(init=False)

    def __post_init__(self) -> None:
        self.admission = Admission(self.limits, self.clock)
        self.admission.open(TOKENS)

    def enter(
        self,
        identity: int,
        sequences: int = 1,
        tokens: int = 1,
        priority: int = 5,
        latest_s: float = math.inf,
    ) -> Sequence[Displaced]:
        demand = Demand(sequences, tokens, priority, latest_s)
        return self.admission.enter(identity, demand, lambda: self.begun.append(identity))

    def serve(self, identity: int, seconds: float, tokens: int = 1) -> None:
        """Have one request come and go."""
        self.enter(identity, tokens=tokens)
        self.clock.now += seconds
        self.admission.leave(identity)


def desk(sequences: int, waiting: int, *, tokens: int = 0, waiting_tokens: int = 10_000) -> Desk:
    return Desk(Limits(sequences, tokens, waiting, waiting_tokens))
