"""Server-sent events, read from bytes that were cut anywhere."""

from collections.abc import Iterator

from services.inference.openai.failures import GarbageError

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""The largest event: a tool call with all its arguments in one piece fits."""


class EventReader:
    """Gives the data of each event, as https://html.spec.whatwg.org/#server-sent-events has it.

    Comments, which servers send to keep a connection alive, and all fields but `data` are passed
    over. Lines end with LF, CR or both; an event that the stream's end cuts off is none.
    """

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0
        self._is_after_cr = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what came in, and give the data of each event that it completes.

        Raises:
            GarbageError: an event never seems to end.
        """
        if not data:
            return
        if self._is_after_cr:
            # The rest of a CRLF that was cut in two.
            data = data.removeprefix(b"\n")
        for part in data.splitlines(keepends=True):
            self._size += len(part)
            if self._size > MAX_EVENT_BYTES:
                raise GarbageError("event_too_large")
            self._line.append(part)
            if part.endswith((b"\n", b"\r")):
                line = b"".join(self._line).rstrip(b"\r\n")
                self._line.clear()
                yield from self._end_line(line)
        self._is_after_cr = data.endswith(b"\r")

    def _end_line(self, line: bytes) -> Iterator[bytes]:
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            elif not self._data:
                # Comments may come for ever, and none of them is part of an event.
                self._size = 0
            return
        event, self._data, self._size = b"\n".join(self._data), [], 0
        if event:
            yield event
