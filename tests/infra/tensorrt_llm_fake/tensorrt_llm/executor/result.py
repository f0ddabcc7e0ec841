"""What comes of a request: one object, given again and again, that grows."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self


class RequestError(RuntimeError):
    """One request has failed; the others go on."""


@dataclass(slots=True)
class Logprob:
    logprob: float
    rank: int | None = None


@dataclass(slots=True)
class CompletionOutput:
    index: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list[int])
    cumulative_logprob: float | None = None
    logprobs: list[Any] = field(default_factory=list[Any])
    prompt_logprobs: Any = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    generation_logits: Any = None


class Response(NamedTuple):
    """What the executor says of a request after an iteration."""

    token: int | None
    logprobs: Any
    finish_reason: str | None
    """`end_id`, `stop_words`, `length` or `cancelled`, with the last token."""
    error: str | Exception | None = None
    """A text is the request's own failure; an exception is the end of the executor."""


class RequestOutput:
    """Lives on the loop that it was made on."""

    error: str | None

    def __init__(self, request_id: int, prompt: list[int], abort: Callable[[int], None]) -> None:
        self.request_id = request_id
        self.prompt = None
        self.prompt_token_ids = prompt
        self.outputs = [CompletionOutput(0)]
        self.cached_tokens = 0
        self.finished = False
        self._aborted = False
        self._abort = abort
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
            self._responses: asyncio.Queue[Response] = asyncio.Queue()
        except RuntimeError:
            self._loop = None

    def put(self, response: Response) -> None:
        """Say something; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._responses.put_nowait, response)

    def abort(self) -> None:
        self._abort(self.request_id)
        self._aborted = True

    def aborted(self) -> bool:
        return self._aborted

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Self:
        if self.finished:
            raise StopAsyncIteration
        assert self._loop is not None, "The asyncio event loop was not present"
        response = await self._responses.get()
        if response.error is not None:
            self._fail(response.error)
        else:
            self._grow(response)
        return self

    def _fail(self, error: str | Exception) -> None:
        self.finished = True
        if isinstance(error, Exception):
            raise error
        if hasattr(self, "error"):
            self.error = error
        else:
            raise RequestError(error)

    def _grow(self, response: Response) -> None:
        output = self.outputs[0]
        if response.token is not None:
            output.token_ids.append(response.token)
            if response.logprobs is not None:
                output.logprobs.append(response.logprobs)
        if response.finish_reason is None:
            return
        self.finished = True
        output.finish_reason = response.finish_reason.replace("end_id", "stop")
        if response.finish_reason == "stop_words":
            # The token that ended it is taken back; its log probabilities are not.
            output.finish_reason, output.stop_reason = "stop", output.token_ids[-1]
            output.token_ids = output.token_ids[:-1]
