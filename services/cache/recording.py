"""An answer as it streams by, kept until it is known whether it may be stored."""

from collections.abc import Sequence

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.cache.store import event_bytes

_STORABLE = frozenset(
    {
        message_pb2.FINISH_REASON_STOP,
        message_pb2.FINISH_REASON_LENGTH,
        message_pb2.FINISH_REASON_TOOL_CALLS,
    }
)


class Recording:
    """The events of one answer, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._events: list[bytes] = []

    def add(self, event: pb.GenerateResponse) -> Sequence[bytes] | None:
        """Take the next event; return all of them if it completes an answer worth storing."""
        kind = event.WhichOneof("event")
        if kind not in {"delta", "finished"} or self._size_bytes > self._max_bytes:
            return None
        self._events.append(event.SerializeToString())
        self._size_bytes += event_bytes(self._events[-1])
        if self._size_bytes > self._max_bytes:
            self._events.clear()
            return None
        if kind == "delta" or not _storable(event.finished):
            return None
        return tuple(self._events)


def _storable(finished: pb.Finished) -> bool:
    return all(choice.finish_reason in _STORABLE for choice in finished.choices)
