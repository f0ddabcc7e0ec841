"""The one exception of the mesh, and its errors; `rpc_status` has their form on the wire."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import grpc

from catenary.v1 import error_reason_pb2
from catenary.v1.decision_pb2 import Decision
from catenary.v1.error_reason_pb2 import ErrorReason

REASON_PREFIX = "ERROR_REASON_"
"""What the contract puts before the name of every reason."""

_BACKOFF_S = 1.0

_CODES = {
    error_reason_pb2.ERROR_REASON_INVALID_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    error_reason_pb2.ERROR_REASON_UNSUPPORTED: grpc.StatusCode.INVALID_ARGUMENT,
    error_reason_pb2.ERROR_REASON_CONTEXT_WINDOW_EXCEEDED: grpc.StatusCode.INVALID_ARGUMENT,
    error_reason_pb2.ERROR_REASON_MODEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    error_reason_pb2.ERROR_REASON_UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    error_reason_pb2.ERROR_REASON_PROMPT_BLOCKED: grpc.StatusCode.PERMISSION_DENIED,
    error_reason_pb2.ERROR_REASON_QUEUE_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    error_reason_pb2.ERROR_REASON_UPSTREAM_UNREACHABLE: grpc.StatusCode.UNAVAILABLE,
    error_reason_pb2.ERROR_REASON_UPSTREAM_FAILED: grpc.StatusCode.UNAVAILABLE,
    error_reason_pb2.ERROR_REASON_DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    error_reason_pb2.ERROR_REASON_CACHE_MISS: grpc.StatusCode.NOT_FOUND,
    error_reason_pb2.ERROR_REASON_STREAM_BROKEN: grpc.StatusCode.INTERNAL,
    error_reason_pb2.ERROR_REASON_INTERNAL: grpc.StatusCode.INTERNAL,
    error_reason_pb2.ERROR_REASON_OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    error_reason_pb2.ERROR_REASON_MALFORMED_TOOL_CALL: grpc.StatusCode.UNAVAILABLE,
    error_reason_pb2.ERROR_REASON_SAFETY_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that breaks a rule."""

    field: str
    """The field's path, for example `sampling.temperature`."""
    description: str
    """What is allowed."""


@dataclass(slots=True, eq=False)
class MeshError(Exception):
    """A failure that keeps its meaning over any number of hops.

    Its text reaches callers: it never holds prompts, completions, secrets or a driver's words.
    """

    reason: ErrorReason.ValueType
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """What is dynamic in the message, by key; a key once published stays."""
    retry_after_s: float | None = None
    """How long to wait before trying again; None where trying again does not help."""
    violations: tuple[Violation, ...] = ()
    decisions: tuple[Decision, ...] = ()
    """What links decided before it failed, where no stream has told it."""

    def __str__(self) -> str:
        return self.message

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC code that the reason stands for."""
        return _CODES[self.reason]

    @property
    def reason_name(self) -> str:
        """The reason without the enum's prefix."""
        return ErrorReason.Name(self.reason).removeprefix(REASON_PREFIX)


def invalid_request(violations: Iterable[Violation]) -> MeshError:
    """Build the error for a request that breaks the contract; the message tells the first rule."""
    all_violations = tuple(violations)
    first = all_violations[0]
    return MeshError(
        error_reason_pb2.ERROR_REASON_INVALID_REQUEST,
        f"{first.field}: {first.description}" if first.field else first.description,
        {"field": first.field},
        violations=all_violations,
    )


def invalid_field(field_path: str, description: str) -> MeshError:
    """Build the error for one field that breaks a rule."""
    return invalid_request([Violation(field_path, description)])


def unsupported(field_path: str, model: str, description: str) -> MeshError:
    """Build the error for a field that the model or its engine cannot honour."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_UNSUPPORTED,
        f"{field_path}: {description}",
        {"field": field_path, "model": model},
        violations=(Violation(field_path, description),),
    )


def context_window_exceeded(
    input_tokens: int, max_output_tokens: int, context_window: int
) -> MeshError:
    """Build the error for a prompt and completion that do not fit the model together."""
    description = (
        f"a prompt of {input_tokens} tokens and a completion of {max_output_tokens} "
        f"exceed the model's context window of {context_window} tokens"
    )
    return MeshError(
        error_reason_pb2.ERROR_REASON_CONTEXT_WINDOW_EXCEEDED,
        description,
        {
            "input_tokens": str(input_tokens),
            "max_output_tokens": str(max_output_tokens),
            "context_window": str(context_window),
        },
        violations=(Violation("messages", description),),
    )


def prompt_too_long(chars: int, max_chars: int, field_path: str = "messages") -> MeshError:
    """Build the error for more characters than the safety link lets through at once."""
    what = "the prompt has" if field_path == "messages" else "there are"
    description = f"{what} {chars} characters, but at most {max_chars} are allowed"
    return MeshError(
        error_reason_pb2.ERROR_REASON_INVALID_REQUEST,
        f"{field_path}: {description}",
        {"field": field_path, "chars": str(chars), "max_chars": str(max_chars)},
        violations=(Violation(field_path, description),),
    )


def text_too_long(index: int, tokens: int, max_tokens: int) -> MeshError:
    """Build the error for a text to embed that has more tokens than the model reads."""
    field_path = f"texts[{index}]"
    description = f"has {tokens} tokens, but the model reads at most {max_tokens}"
    return MeshError(
        error_reason_pb2.ERROR_REASON_CONTEXT_WINDOW_EXCEEDED,
        f"{field_path}: {description}",
        {"field": field_path, "input_tokens": str(tokens), "context_window": str(max_tokens)},
        violations=(Violation(field_path, description),),
    )


def model_not_found(model: str) -> MeshError:
    """Build the error for a model that nobody serves."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_MODEL_NOT_FOUND,
        f"no model named {model!r} is served; GET /v1/models lists those that are",
        {"model": model},
    )


def model_unavailable(model: str, *, has_failed: bool) -> MeshError:
    """Build the error for a model that is to be served, but does not serve yet, or cannot."""
    why = "cannot be loaded" if has_failed else "is being loaded"
    return MeshError(
        error_reason_pb2.ERROR_REASON_UPSTREAM_UNREACHABLE,
        f"model {model!r} {why}",
        {"upstream": "model", "model": model},
        _BACKOFF_S,
    )


def prompt_blocked(detector: str, category: str, refusal: str = "") -> MeshError:
    """Build the error for a prompt that the safety policy blocks, in its words if it has any."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_PROMPT_BLOCKED,
        refusal or f"the prompt was blocked by the safety policy ({detector}: {category})",
        {"detector": detector, "category": category},
    )


def safety_unavailable(detector: str) -> MeshError:
    """Build the error for a text that a detector could not judge, and that may not pass so."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_SAFETY_UNAVAILABLE,
        f"the detector {detector!r} of the safety policy could not judge the text; "
        f"try again in {_BACKOFF_S:.1f} s",
        {"detector": detector},
        _BACKOFF_S,
    )


def queue_full(model: str, retry_after_s: float) -> MeshError:
    """Build the error for an engine whose queue is full."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_QUEUE_FULL,
        f"the queue of model {model!r} is full; try again in {retry_after_s:.1f} s",
        {"model": model},
        retry_after_s,
    )


def too_many_forms(model: str, retry_after_s: float) -> MeshError:
    """Build the error for a schema or expression behind too many that are being compiled."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_QUEUE_FULL,
        f"too many schemas and expressions are being compiled for model {model!r}; "
        f"try again in {retry_after_s:.1f} s",
        {"model": model},
        retry_after_s,
    )


def overloaded(link: str) -> MeshError:
    """Build the error for a link that serves as many calls as it may."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_OVERLOADED,
        f"the {link} is serving as many calls as it may; try again in {_BACKOFF_S:.1f} s",
        {"link": link},
        _BACKOFF_S,
    )


def upstream_unreachable(upstream: str) -> MeshError:
    """Build the error for a part that cannot be reached."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_UPSTREAM_UNREACHABLE,
        f"{upstream} cannot be reached",
        {"upstream": upstream},
        _BACKOFF_S,
    )


def upstream_failed(upstream: str) -> MeshError:
    """Build the error for a part that failed while it worked on the call."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_UPSTREAM_FAILED,
        f"{upstream} failed while it worked on the request",
        {"upstream": upstream},
        _BACKOFF_S,
    )


def answer_too_long(max_bytes: int) -> MeshError:
    """Build the error for an answer that takes more than may be gathered into one body."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_UPSTREAM_FAILED,
        f"the answer has more than {max_bytes} bytes, the most that are sent at once; "
        "ask for a stream, or for fewer tokens",
        {"upstream": "model", "max_bytes": str(max_bytes)},
    )


def engine_restarting(model: str, retry_after_s: float) -> MeshError:
    """Build the error for a call that comes while the model's engine, which died, is not back."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_UPSTREAM_UNREACHABLE,
        f"the engine of model {model!r} is restarting; try again in {retry_after_s:.1f} s",
        {"upstream": "engine", "model": model},
        retry_after_s,
    )


def malformed_tool_call(tool: str) -> MeshError:
    """Build the error for a call of a tool that the model wrote, and that is none."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_MALFORMED_TOOL_CALL,
        f"the model called the tool {tool!r} with arguments that are not a JSON object",
        {"tool": tool},
        _BACKOFF_S,
    )


def tool_calls_too_long(max_bytes: int) -> MeshError:
    """Build the error for calls of tools that are longer than what safety holds to judge them."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_MALFORMED_TOOL_CALL,
        f"the model called tools with more than {max_bytes} bytes, the most that are judged",
        {"max_bytes": str(max_bytes)},
        _BACKOFF_S,
    )


def deadline_exceeded() -> MeshError:
    """Build the error for a call whose deadline passed."""
    return MeshError(error_reason_pb2.ERROR_REASON_DEADLINE_EXCEEDED, "the call's deadline passed")


def deadline_too_short(model: str) -> MeshError:
    """Build the error for a call that would wait for the engine until its deadline has passed."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_DEADLINE_EXCEEDED,
        f"model {model!r} has so much to do that the call's deadline would pass",
        {"model": model},
    )


def cache_miss() -> MeshError:
    """Build the error for a caller who accepts stored answers only."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_CACHE_MISS,
        "no answer is stored, and the request accepts no other",
    )


def stream_broken(upstream: str) -> MeshError:
    """Build the error for a stream that broke its grammar."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_STREAM_BROKEN,
        f"the stream of {upstream} broke its grammar, or ended before it was finished",
        {"upstream": upstream},
    )


def internal() -> MeshError:
    """Build the error for a defect of the mesh; the log has the rest."""
    return MeshError(
        error_reason_pb2.ERROR_REASON_INTERNAL,
        "the mesh failed; its log tells why under the request's id",
    )
