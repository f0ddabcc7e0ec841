"""A stream's events as one `chat.completion`."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from catenary.v1 import generation_pb2 as pb
from services import errors
from services.gateway.openai import pieces
from services.hop import finish_reason

CONTENT_TYPE = "application/json"
_MAX_BYTES = 64 * 1024 * 1024
"""The most that is gathered: a million tokens fit, or fewer with log probabilities."""


@dataclass(slots=True)
class _Choice:
    texts: list[str] = field(default_factory=list[str])
    thoughts: list[str] = field(default_factory=list[str])
    logprobs: list[pb.TokenLogprob] = field(default_factory=list[pb.TokenLogprob])
    tool_calls: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])

    def add(self, delta: pb.Delta) -> None:
        self.texts.append(delta.text)
        self.thoughts.append(delta.reasoning)
        self.logprobs.extend(delta.logprobs)
        for piece in delta.tool_calls:
            if piece.index not in self.tool_calls:
                function = {"name": piece.name, "arguments": ""}
                call = {"id": piece.id, "type": "function", "function": function}
                self.tool_calls[piece.index] = call
            self.tool_calls[piece.index]["function"]["arguments"] += piece.arguments

    def message(self) -> dict[str, Any]:
        text = "".join(self.texts)
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if self.tool_calls:
            message["content"] = text or None
            message["tool_calls"] = [self.tool_calls[index] for index in sorted(self.tool_calls)]
        if thought := "".join(self.thoughts):
            message["reasoning_content"] = thought
        return message


class Completion:
    """Gathers the events of one stream."""

    def __init__(self, created_unix_s: int) -> None:
        self._created = created_unix_s
        self._id = ""
        self._choices: dict[int, _Choice] = {}
        self._decisions: list[dict[str, Any]] = []
        self._finished = pb.Finished()
        self._bytes = 0

    def add(self, event: pb.GenerateResponse) -> None:
        """Take the next event.

        Raises:
            MeshError: UPSTREAM_FAILED, for a stream that does not seem to end.
        """
        self._bytes += event.ByteSize()
        if self._bytes > _MAX_BYTES:
            raise errors.answer_too_long(_MAX_BYTES)
        match event.WhichOneof("event"):
            case "delta":
                self._choices.setdefault(event.delta.choice, _Choice()).add(event.delta)
            case "started":
                self._id = pieces.completion_id(event.started.request_id)
            case "decision":
                self._decisions.append(pieces.decision(event.decision))
            case "finished":
                self._finished = event.finished

    def encode(self) -> bytes:
        """Return the body; every event has been added."""
        body: dict[str, Any] = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._finished.served_model,
            "choices": [self._choice(finish) for finish in self._finished.choices],
            "usage": pieces.usage(self._finished.usage),
        }
        if self._decisions:
            body["catenary"] = {"decisions": self._decisions}
        return msgspec.json.encode(body)

    def _choice(self, finish: pb.ChoiceFinish) -> dict[str, Any]:
        choice = self._choices.get(finish.choice) or _Choice()
        return {
            "index": finish.choice,
            "message": choice.message(),
            "logprobs": pieces.logprobs(choice.logprobs) if choice.logprobs else None,
            "finish_reason": finish_reason(finish.finish_reason),
        }
