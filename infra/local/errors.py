"""Why a mesh cannot run on this machine."""

from collections.abc import Sequence


class LocalError(Exception):
    """A mesh that cannot be started, or not be kept running; its text is one line."""


class PortTakenError(LocalError):
    """A port that something else listens on."""

    def __init__(self, port: int, part: str, role: str) -> None:
        super().__init__(
            f"port {port}, which {part} needs for {role}, is taken: "
            "stop what listens there, or move all ports with --port-base"
        )


class PartFailedError(LocalError):
    """A part without which the mesh cannot run."""

    def __init__(self, part: str, problem: str, last_lines: Sequence[str] = ()) -> None:
        super().__init__(f"{part} {problem}")
        self.last_lines = last_lines
        """What it wrote last, oldest first."""
