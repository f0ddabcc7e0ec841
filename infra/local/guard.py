"""Kills what a supervisor leaves behind when it dies without stopping its parts, by kill -9 say.

Runs as a process of its own. Its standard input tells it which process groups there are, a line
each: `+12` when group 12 starts, `-12` when it has ended. However the supervisor dies, the pipe is
closed. It imports nothing but the standard library, and is run by its path, to start at once.
"""

import contextlib
import os
import signal
import sys
import time

_GRACE_S = 3.0
_POLL_S = 0.05


def _signal(groups: set[int], number: int) -> set[int]:
    """Send a signal to the groups, and return those that are still there."""
    there = set()
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)
            there.add(group)
    return there


def main() -> None:
    """Follow the supervisor until it is gone, then end its groups."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    # First as one asks, so that they give back what would outlive them, shared memory say.
    groups = _signal(groups, signal.SIGTERM)
    end = time.monotonic() + _GRACE_S
    while groups and time.monotonic() < end:
        time.sleep(_POLL_S)
        groups = _signal(groups, 0)
    _signal(groups, signal.SIGKILL)


if __name__ == "__main__":
    main()
