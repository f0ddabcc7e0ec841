"""The failures of upstream calls: in the mesh's words for the caller, in few for the operator."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from catenary.v1 import error_reason_pb2
from services import errors, telemetry
from services.errors import MeshError
from services.inference.openai import context, problems
from services.inference.openai.problems import Problem

_BACKOFF_S = 1.0

_FIELDS = {
    "messages": "messages",
    "max_tokens": "sampling.max_output_tokens",
    "max_completion_tokens": "sampling.max_output_tokens",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "top_k": "sampling.top_k",
    "min_p": "sampling.min_p",
    "presence_penalty": "sampling.presence_penalty",
    "frequency_penalty": "sampling.frequency_penalty",
    "seed": "sampling.seed",
    "stop": "sampling.stop",
    "n": "sampling.n",
    "logprobs": "sampling.logprobs",
    "top_logprobs": "sampling.logprobs",
    "logit_bias": "sampling.logit_bias",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tool_calls",
    "response_format": "response_format",
    "input": "texts",
    "dimensions": "dimensions",
}
"""The contract's field that a server blames by its own name."""

_REFUSED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""What servers answer when the request is at fault."""
_WITHOUT_MODEL = (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)
"""What servers answer when they do not know the model; 400 is llama.cpp's, with several models."""


class Outcome(StrEnum):
    """How an upstream call ended."""

    OK = telemetry.OK
    CANCELLED = telemetry.CANCELLED
    REFUSED = "refused"
    """The caller's request was."""
    UNAUTHORISED = "unauthorised"
    """The operator's key was refused, or is used up."""
    LIMITED = "limited"
    """The server has no room now."""
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    """The server says that it failed."""
    BROKEN = "broken"
    """The stream ended before the completion did."""
    GARBAGE = "garbage"
    """The server's answer is not what the API says."""


@dataclass(slots=True, eq=False)
class UpstreamError(Exception):
    """An upstream call that failed."""

    outcome: Outcome
    error: MeshError
    """What the caller is told."""
    status: int = 0
    """The HTTP status; 0 where there was none, or the failure came after it."""
    kind: str = ""
    """The server's own word for it, fit for a log."""


@dataclass(slots=True, eq=False)
class GarbageError(Exception):
    """An answer is not what the API says."""

    kind: str
    """What of it is not."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Says what befell the calls of one model."""

    engine: str
    """The server's kind."""
    model: str
    upstream_model: str
    """The model's name on the server."""
    context_window: int
    """In tokens; 0 where it is not known."""

    def of_response(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Classify an answer that is no success."""
        problem = problems.of_body(body)
        return self._classify(status, problem, problems.retry_after_s(headers))

    def of_event(self, given: Any) -> UpstreamError:
        """Classify an error that came inside a stream."""
        problem = problems.of_value(given)
        return self._classify(problem.status, problem, None)

    def of_no_stream(self, body: bytes) -> UpstreamError:
        """Classify an answer that calls itself good, and is no stream."""
        problem = problems.of_body(body)
        if problem.message or problem.type:
            return self._classify(problem.status, problem, None)
        return self.garbage("no_stream")

    def unreachable(self) -> UpstreamError:
        """Say that no connection stood, or that it was lost before an answer."""
        return UpstreamError(Outcome.UNREACHABLE, self._named(errors.upstream_unreachable))

    def keyless(self) -> UpstreamError:
        """Say that the key's file cannot be read any more."""
        failed = self._named(errors.upstream_failed)
        return UpstreamError(Outcome.UNAUTHORISED, failed, kind="key_file")

    def silent(self) -> UpstreamError:
        """Say that the server said nothing for too long."""
        return UpstreamError(Outcome.TIMED_OUT, self._named(errors.upstream_failed))

    def late(self) -> UpstreamError:
        """Say that the call's deadline passed."""
        return UpstreamError(Outcome.TIMED_OUT, errors.deadline_exceeded())

    def broken(self) -> UpstreamError:
        """Say that the stream ended too soon."""
        return UpstreamError(Outcome.BROKEN, self._named(errors.stream_broken))

    def garbage(self, kind: str) -> UpstreamError:
        """Say that the answer is not what the API says; `kind` says what of it."""
        return UpstreamError(Outcome.GARBAGE, self._named(errors.upstream_failed), kind=kind)

    def endless(self, max_bytes: int) -> UpstreamError:
        """Say that the server was cut off, since it goes on beyond every limit."""
        error = MeshError(
            error_reason_pb2.ERROR_REASON_UPSTREAM_FAILED,
            f"the server of model {self.model!r} does not heed the limit of tokens: it was cut "
            f"off after {max_bytes} bytes",
            {"upstream": self.engine, "model": self.model, "max_bytes": str(max_bytes)},
        )
        return UpstreamError(Outcome.GARBAGE, error, kind="endless")

    def _classify(self, status: int, problem: Problem, retry_s: float | None) -> UpstreamError:
        refusal = self._refusal(problem)
        if refusal is not None:
            return UpstreamError(Outcome.REFUSED, refusal, status, problem.kind)
        if status in _WITHOUT_MODEL and problem.is_about_the_model:
            return UpstreamError(Outcome.FAILED, self._without_model(), status, problem.kind)
        outcome, error = self._of_status(status, problem, retry_s)
        return UpstreamError(outcome, error, status, problem.kind)

    def _of_status(
        self, status: int, problem: Problem, retry_s: float | None
    ) -> tuple[Outcome, MeshError]:
        outcome, error = Outcome.FAILED, self._named(errors.upstream_failed)
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.PAYMENT_REQUIRED | HTTPStatus.FORBIDDEN:
                # The key is the operator's: the caller can do nothing about it.
                outcome = Outcome.UNAUTHORISED
            case HTTPStatus.TOO_MANY_REQUESTS if problem.is_about_money:
                outcome = Outcome.UNAUTHORISED
            case HTTPStatus.TOO_MANY_REQUESTS | problems.OVERLOADED:
                outcome = Outcome.LIMITED
                error = errors.queue_full(self.model, retry_s or _BACKOFF_S)
            case HTTPStatus.BAD_GATEWAY | HTTPStatus.SERVICE_UNAVAILABLE:
                # A proxy with nobody behind it, or a server that is loading the model.
                outcome = Outcome.UNREACHABLE
                error = self._named(errors.upstream_unreachable)
                error.retry_after_s = error.retry_after_s if retry_s is None else retry_s
            case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.GATEWAY_TIMEOUT:
                outcome = Outcome.TIMED_OUT
            case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
                error = self._without_path()
            case HTTPStatus.NOT_IMPLEMENTED:
                outcome = Outcome.REFUSED
                what = "its server was not started for this"
                error = errors.unsupported("model", self.model, what)
            case _ if status in _REFUSED:
                outcome, error = Outcome.REFUSED, _invalid(problem)
        return outcome, error

    def _refusal(self, problem: Problem) -> MeshError | None:
        """Return what the words alone tell: servers say it under any status, or under none."""
        if problem.is_about_content:
            return errors.prompt_blocked(f"model {self.model!r}", "content_filter")
        return context.exceeded(problem, self.context_window)

    def _without_model(self) -> MeshError:
        return MeshError(
            error_reason_pb2.ERROR_REASON_MODEL_NOT_FOUND,
            f"the server of model {self.model!r} has no model named {self.upstream_model!r}",
            {"model": self.model, "upstream_model": self.upstream_model},
        )

    def _without_path(self) -> MeshError:
        return MeshError(
            error_reason_pb2.ERROR_REASON_UPSTREAM_FAILED,
            f"the server of model {self.model!r}, which is {self.upstream_model!r} there, knows no "
            "such path; its base_url is probably wrong: most end in /v1",
            {"upstream": self.engine, "model": self.model, "upstream_model": self.upstream_model},
        )

    def _named(self, failed: Callable[[str], MeshError]) -> MeshError:
        """Return an error that says which model failed."""
        metadata = {"upstream": self.engine, "model": self.model}
        return replace(failed(f"model {self.model!r}"), metadata=metadata)


def _invalid(problem: Problem) -> MeshError:
    # The server's own words may hold the prompt, and so never travel on.
    name = re.match("[a-z_]*", problem.param)
    field = _FIELDS.get(name[0] if name else "", "")
    return errors.invalid_field(field, "the server that runs the model refuses it")
