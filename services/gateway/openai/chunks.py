"""A stream's events as server-sent events, each a `chat.completion.chunk`."""

from typing import Any

import msgspec

from catenary.v1 import generation_pb2 as pb
from services.errors import MeshError
from services.gateway.openai import pieces
from services.gateway.openai.envelope import envelope
from services.hop import finish_reason

CONTENT_TYPE = "text/event-stream"

_DONE = b"data: [DONE]\n\n"
_encode = msgspec.json.encode


def failed(error: MeshError) -> bytes:
    """Return the event that ends a stream that has begun; `[DONE]` does not follow it."""
    return f"data: {envelope(error)}\n\n".encode()


class Chunks:
    """Encodes the events of one stream.

    Nothing is to be sent before the first delta, so that an error which comes before it still has
    its own HTTP status; what belongs before it leaves together with it.
    """

    def __init__(self, created_unix_s: int, *, include_usage: bool) -> None:
        self._created = created_unix_s
        self._usage = b',"usage":null' if include_usage else b""
        self._include_usage = include_usage
        self._id = ""
        self._head = b""
        self._texts: dict[int, bytes] = {}
        """By choice that has begun: what stands before the text of its next delta."""
        self._held = b""

    def encode(self, event: pb.GenerateResponse) -> bytes:
        """Return what to send for an event; empty when it is nothing yet."""
        match event.WhichOneof("event"):
            case "delta":
                return self._release() + self._delta(event.delta)
            case "started":
                self._id = pieces.completion_id(event.started.request_id)
                self._set_model(event.started.model)
            case "decision":
                return self._decision(event)
            case "finished":
                return self._release() + self._finished(event.finished)
        return b""

    def _set_model(self, model: str) -> None:
        constant = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": model,
        }
        self._head = b"data: " + _encode(constant)[:-1] + b',"choices":['

    def _release(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _chunk(self, choice: bytes, rest: bytes = b"") -> bytes:
        return self._head + choice + b"]" + rest + self._usage + b"}\n\n"

    def _begin(self, choice: int) -> bytes:
        """Return the chunk that opens a choice; empty when it is open."""
        if choice in self._texts:
            return b""
        start = b'{"index":%d,"delta":' % choice
        self._texts[choice] = self._head + start + b'{"content":'
        role = b'{"role":"assistant","content":"","refusal":null}'
        return self._chunk(start + role + b',"logprobs":null,"finish_reason":null}')

    def _delta(self, delta: pb.Delta) -> bytes:
        begin = self._begin(delta.choice)
        if delta.logprobs or delta.tool_calls or delta.reasoning:
            return begin + self._chunk(_encode(_rich_choice(delta)))
        # Nearly every chunk is one of these: the constant parts are made once a choice.
        text = self._texts[delta.choice] + _encode(delta.text)
        return begin + text + b'},"logprobs":null,"finish_reason":null}]' + self._usage + b"}\n\n"

    def _decision(self, event: pb.GenerateResponse) -> bytes:
        told = {"decision": pieces.decision(event.decision)}
        chunk = self._chunk(b"", b',"catenary":' + _encode(told))
        if self._texts:
            return chunk
        self._held += chunk
        return b""

    def _finished(self, finished: pb.Finished) -> bytes:
        self._set_model(finished.served_model)
        body = b""
        for choice in finished.choices:
            body += self._begin(choice.choice)
            reason = _encode(finish_reason(choice.finish_reason))
            body += self._chunk(
                b'{"index":%d,"delta":{},"logprobs":null,"finish_reason":%b}'
                % (choice.choice, reason)
            )
        if self._include_usage:
            self._usage = b',"usage":' + _encode(pieces.usage(finished.usage))
            body += self._chunk(b"")
        return body + _DONE


def _rich_choice(delta: pb.Delta) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if delta.reasoning:
        said["reasoning_content"] = delta.reasoning
    if delta.text:
        said["content"] = delta.text
    if delta.tool_calls:
        said["tool_calls"] = [_tool_call(call) for call in delta.tool_calls]
    logprobs = pieces.logprobs(delta.logprobs) if delta.logprobs else None
    return {"index": delta.choice, "delta": said, "logprobs": logprobs, "finish_reason": None}


def _tool_call(call: pb.ToolCallDelta) -> dict[str, Any]:
    arguments = {"arguments": call.arguments}
    if not call.id:
        return {"index": call.index, "function": arguments}
    return {
        "index": call.index,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, **arguments},
    }
