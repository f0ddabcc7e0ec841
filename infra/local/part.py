"""A part: one process of the mesh, as its supervisor sees it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from catenary.cli.record import Kind
from infra.local.children import Needs


@dataclass(frozen=True, slots=True)
class Part:
    """One process: how it is started, and how one knows that it can serve."""

    name: str
    kind: Kind
    command: Sequence[str]
    probe: Callable[[], Awaitable[object]]
    """Asks the process whether it can serve; raises NotReadyError while it cannot, and FailedError
    when something of it never will."""
    address: str
    """Where it serves, as host:port."""
    metrics: str
    """The URL of its metrics."""
    ports: Mapping[int, str]
    """Every port that it listens on, and what for."""
    environment: Mapping[str, str] | None = None
    """Its whole environment; the supervisor's own when None."""
    drains: bool = False
    """Lets running streams end after SIGTERM, for which the other parts must still be there."""
    stop_s: float = 5.0
    """How long it may take to end after SIGTERM."""
    clear: Callable[[], None] | None = None
    """Removes what a run that was killed may have left behind."""
    needs_child: Needs | None = None
    """Tells whether it serves no more, now that a process that it started has ended."""
    alive: Callable[[], Awaitable[object]] | None = None
    """Asks the process, once it is ready, whether it answers at all; raises NotReadyError when not.
    One that does not for long is started again."""
    crashes: str = ""
    """What a line begins with, as a regular expression, after which the process is to end."""
    telling: str = ""
    """What the line holds that tells why it cannot start; without one, the last line tells."""


Tiers = Sequence[Sequence[Part]]
"""Parts in order: those of a tier need the ones before it, and stop before them."""
