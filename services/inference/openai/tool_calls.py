"""Tool calls in pieces, however a server cuts and numbers them."""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from services.inference.arguments import require_object
from services.inference.openai import chunks
from services.inference.openai.failures import GarbageError, Outcome, UpstreamError
from services.inference.openai.surrogates import Joiner

MAX_CALLS = 128
"""The most calls of one choice, as in the contract."""
MAX_ARGUMENTS = 1024 * 1024
"""The most characters of a call's arguments, as in the contract."""
_KIND = "tool_call"
_NO_ARGUMENTS = "{}"


@dataclass(slots=True, eq=False)
class _Call:
    """A call so far."""

    index: int
    id: str = ""
    name: str = ""
    """Set once it has been given out with the id; nothing is before it is known."""
    arguments: list[str] = field(default_factory=list[str])
    joiner: Joiner = field(default_factory=Joiner)
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

    def end(self, *, is_cut: bool) -> Iterator[pb.ToolCallDelta]:
        """Check that the calls are whole, and give what a server has left out.

        For a tool without parameters, several servers send no arguments; clients read them as JSON.

        Args:
            is_cut: the limit of tokens or a stop text ended the choice, maybe in its last call.

        Raises:
            GarbageError: a call has no name.
            UpstreamError: a call's arguments are not a JSON object.
        """
        if not all(call.name for call in self.calls):
            raise GarbageError(_KIND)
        for call in self.calls[:-1] if is_cut else self.calls:
            rest = call.joiner.end()
            if not "".join(call.arguments).strip() and not rest:
                rest = _NO_ARGUMENTS
            if rest:
                call.arguments.append(rest)
                yield pb.ToolCallDelta(index=call.index, arguments=rest)
            try:
                require_object(call.name, "".join(call.arguments))
            except MeshError as error:
                raise UpstreamError(Outcome.GARBAGE, error, kind=_KIND) from None

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
        written = json.dumps(given) if isinstance(given, dict) else given or ""
        arguments = call.joiner.join(written)
        call.size += len(arguments)
        if call.size > MAX_ARGUMENTS:
            raise GarbageError(_KIND)
        if arguments:
            call.arguments.append(arguments)
        if call.name:
            # Some servers repeat the name with each part.
            if arguments:
                yield pb.ToolCallDelta(index=call.index, arguments=arguments)
        elif function.name:
            call.name = function.name
            call.id = call.id or f"call_{secrets.token_urlsafe(12)}"
            yield pb.ToolCallDelta(
                index=call.index,
                id=call.id,
                name=function.name,
                arguments="".join(call.arguments),
            )
