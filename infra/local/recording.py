"""Keeps the record of a running mesh true, for `catenary status` to read."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from catenary.cli import record
from infra.local.part import Part
from infra.local.supervisor import Report


@dataclass(frozen=True, slots=True)
class Recording:
    """Stands before another report, and writes down what it hears."""

    report: Report
    mesh: record.MeshRecord
    folder: Path

    def started(self, part: Part, pid: int) -> None:
        """Write the part's new process down."""
        parts = {known.name: known for known in self.mesh.parts}
        before = parts.get(part.name)
        parts[part.name] = record.PartRecord(
            name=part.name,
            kind=part.kind,
            address=part.address,
            metrics=part.metrics,
            pid=pid,
            started_unix_s=time.time(),
            restarts=before.restarts + 1 if before else 0,
        )
        self.mesh.parts = list(parts.values())
        record.save(self.mesh, self.folder)
        self.report.started(part, pid)

    def ready(self, part: Part, after_s: float) -> None:
        """Pass it on."""
        self.report.ready(part, after_s)

    def complete(self) -> None:
        """Pass it on."""
        self.report.complete()

    def stopping(self) -> None:
        """Pass it on."""
        self.report.stopping()

    def ended(self, part: Part, how: str, last_lines: Sequence[str], restart_in_s: float) -> None:
        """Pass it on; the record keeps the process that ended until the next one starts."""
        self.report.ended(part, how, last_lines, restart_in_s)
