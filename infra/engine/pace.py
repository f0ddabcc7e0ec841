"""How fast the engine gives places back, measured over the last seconds in which it had work."""

from dataclasses import dataclass

_HALF_LIFE_S = 10.0


@dataclass(slots=True)
class Pace:
    """Sequences and tokens given back, and the time that it took; older ones count for less."""

    _sequences: float = 0.0
    _tokens: float = 0.0
    _busy_s: float = 0.0
    _since_s: float | None = None
    """Since when the engine has been at work and given nothing back; None while it is idle."""

    def begin(self, now_s: float) -> None:
        """The engine has work."""
        if self._since_s is None:
            self._since_s = now_s

    def give_back(self, now_s: float, sequences: int, tokens: int, *, is_idle: bool) -> None:
        """Count places given back; `is_idle` when no more are taken."""
        elapsed_s = self._waited_s(now_s)
        kept = 0.5 ** (elapsed_s / _HALF_LIFE_S)
        self._sequences = self._sequences * kept + sequences
        self._tokens = self._tokens * kept + tokens
        self._busy_s = self._busy_s * kept + elapsed_s
        self._since_s = None if is_idle else now_s

    def seconds_for(self, now_s: float, sequences: int, tokens: int) -> float | None:
        """Return how long it takes to give so much back; None before anything was measured."""
        if not self._sequences:
            return None
        # What has run for long without an end is part of the measurement.
        busy_s = self._busy_s + self._waited_s(now_s)
        share = max(sequences / self._sequences, tokens / max(self._tokens, 1.0))
        return max(share, 0.0) * busy_s

    def sequences_per_s(self, now_s: float) -> float:
        """Return how many sequences are given back in a second; 0 before anything was measured."""
        busy_s = self._busy_s + self._waited_s(now_s)
        return self._sequences / busy_s if busy_s else 0.0

    def _waited_s(self, now_s: float) -> float:
        return 0.0 if self._since_s is None else now_s - self._since_s
