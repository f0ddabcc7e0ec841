"""Tool calls in pieces, however a server cuts and numbers them."""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from catenary.v1 import generation_pb2 as pb
from services.inference.openai import chunks
from services.inference.openai.failures import GarbageError

MAX_CALLS = 128
"""The most calls of one choice, as in the contract."""
MAX_ARGUMENTS = 1024 * 1024
"""The most characters of a call's arguments, as in the contract."""
_KIND = "tool_call"


@dataclass(slots=True, eq=False)
class _Call:
    """A call so far."""

    index: int
    id: str = ""
    is_given: bool = False
    """The id and name have been given out; nothing is before they are known."""
    arguments: list[str] = field(default_factory=list[str])
    size: int = 0


@dataclass(slots=True, eq=False)
class ToolCalls:
    """The calls of one choice."""

    calls: list[_Call] = field(default_factory=list[_Call])
    _by_index: dict[int, _Call] = field(default_factory=dict[int, _Call])

    def read(self, parts: Sequence[chunks.ToolCall]) -> Iterator[pb.ToolCallDelta]:
        """Take parts of calls, and give what is new.

        Raises:
            GarbageError: there are too many calls, or one is too long.
        """
        for part in parts:
            function = part.function or chunks.Function()
            call = self._call(part, function)
            call.id = call.id or part.id or ""
            yield from self._extend(call, function)

    def end(self, *, is_cut: bool) -> None:
        """Check that the calls are whole.

        Args:
            is_cut: the choice reached its limit of tokens, maybe in the middle of a call.

        Raises:
            GarbageError: a call has no name, or its arguments are not JSON.
        """
        for call in self.calls:
            if not call.is_given:
                raise GarbageError(_KIND)
            if not is_cut:
                _require_json("".join(call.arguments))

    def _call(self, part: chunks.ToolCall, function: chunks.Function) -> _Call:
        """Return the call that a part belongs to."""
        if part.index is None:
            # Without a number, whatever has a name begins a call.
            known = self.calls[-1] if self.calls and not function.name else None
        else:
            known = self._by_index.get(part.index)
            # Some servers give all their calls, each whole, the number 0.
            if known and function.name and part.id and known.id and part.id != known.id:
                known = None
        if known is None:
            if len(self.calls) == MAX_CALLS:
                raise GarbageError(_KIND)
            known = _Call(len(self.calls))
            self.calls.append(known)
        if part.index is not None:
            self._by_index[part.index] = known
        return known

    def _extend(self, call: _Call, function: chunks.Function) -> Iterator[pb.ToolCallDelta]:
        given = function.arguments
        arguments = json.dumps(given) if isinstance(given, dict) else given or ""
        call.size += len(arguments)
        if call.size > MAX_ARGUMENTS:
            raise GarbageError(_KIND)
        if arguments:
            call.arguments.append(arguments)
        if call.is_given:
            # Some servers repeat the name with each part.
            if arguments:
                yield pb.ToolCallDelta(index=call.index, arguments=arguments)
        elif function.name:
            call.is_given = True
            call.id = call.id or f"call_{secrets.token_urlsafe(12)}"
            yield pb.ToolCallDelta(
                index=call.index,
                id=call.id,
                name=function.name,
                arguments="".join(call.arguments),
            )


def _require_json(arguments: str) -> None:
    # A function without arguments may be called with nothing at all.
    try:
        json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        raise GarbageError(_KIND) from None
