"""Tool calls of a choice: they wait until they are whole, and have been judged."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from catenary.config.v1.safety_pb2 import (
    SAFETY_ACTION_ALLOW,
    SAFETY_ACTION_BLOCK,
    SAFETY_ACTION_REDACT,
)
from catenary.v1 import generation_pb2 as pb
from services import errors
from services.safety.detector import Source, Text
from services.safety.pseudonyms import Pseudonyms
from services.safety.standing_in import standing_in
from services.safety.stream.json_window import JsonWindow
from services.safety.stream.rules import Judged, Rules

MAX_BYTES = 256 * 1024
"""The most that the calls of one choice may take."""

_ESCAPED = re.compile(r"\\.")


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list[str])


class ToolCalls:
    """Collects the calls of one choice."""

    def __init__(
        self,
        known_names: frozenset[str],
        rules: Rules,
        pseudonyms: Pseudonyms,
        on_finding: Callable[[Judged], None],
    ) -> None:
        self.blocked: Judged | None = None
        """What was found in a call; none of them leaves."""
        self._known_names = known_names
        self._rules = rules
        self._pseudonyms = pseudonyms
        self._on_finding = on_finding
        self._calls: dict[int, _Call] = {}
        self._size_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, piece: pb.ToolCallDelta) -> None:
        """Take the next piece of a call.

        Raises:
            MeshError: MALFORMED_TOOL_CALL: the calls take more than is held.
        """
        self._size_bytes += piece.ByteSize()
        if self._size_bytes > MAX_BYTES:
            raise errors.tool_calls_too_long(MAX_BYTES)
        call = self._calls.setdefault(piece.index, _Call())
        call.id += piece.id
        call.name += piece.name
        call.pieces.append(piece.arguments)

    def finish(self) -> list[pb.ToolCallDelta]:
        """Return the calls, now that the choice has ended; none if one of them is blocked."""
        safe = [
            pb.ToolCallDelta(
                index=index,
                id=self._judged_id(call.id),
                name=self._judged_name(call.name),
                arguments=self._judged_arguments("".join(call.pieces)),
            )
            for index, call in sorted(self._calls.items())
        ]
        self._calls.clear()
        return [] if self.blocked else safe

    def _judged_id(self, identity: str) -> str:
        """Let a hash stand for an identity that holds something: the caller only compares it."""
        found = self._rules.judged(Text(identity, Source.ANSWER)) if identity else ()
        acted_on = [judged for judged in found if judged.action > SAFETY_ACTION_ALLOW]
        for judged in acted_on:
            self._on_finding(judged._replace(action=SAFETY_ACTION_REDACT))
        return standing_in(identity) if acted_on else identity

    def _judged_name(self, name: str) -> str:
        """Block a name for what would be blotted out elsewhere, unless the caller gave it."""
        least = SAFETY_ACTION_BLOCK if name in self._known_names else SAFETY_ACTION_ALLOW + 1
        for judged in self._rules.judged(Text(name, Source.ANSWER)):
            if judged.action >= least:
                self._block(judged, name)
        return name

    def _judged_arguments(self, raw: str) -> str:
        """Return arguments in JSON without what was found in what they mean."""
        changed: list[Judged] = []
        holds_more = False

        def found(judged: Judged) -> None:
            self._on_finding(judged)
            if judged.action > SAFETY_ACTION_ALLOW:
                changed.append(judged)

        window = JsonWindow(self._rules, self._pseudonyms, found)
        parts = window.push(raw) + window.finish()
        for part in parts:
            written = raw[part.start : part.end]
            holds_more |= part.changed and '"' in _ESCAPED.sub("", written)
        self.blocked = self.blocked or window.blocked
        arguments = "".join(part.text for part in parts)
        # What takes more than a value with it leaves no call.
        is_broken = holds_more or (_is_json(raw) and not _is_json(arguments))
        if changed and is_broken and not self.blocked:
            self._block(changed[0], raw)
        return arguments

    def _block(self, judged: Judged, text: str) -> None:
        blocking = judged._replace(action=SAFETY_ACTION_BLOCK, text=judged.text or text)
        self._on_finding(blocking)
        self.blocked = self.blocked or blocking


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
