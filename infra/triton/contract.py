"""The tensors that our Triton model takes and gives: the one contract between it and its callers.

Text travels as UTF-8 in UINT8 tensors. Triton's own BYTES type is not used: the Python backend of
Triton 2.51 was built against numpy 1 and crashes when it reads such a tensor under numpy 2.

A caller sends `INPUT_IDS` and whatever else it wants to set; what it leaves out is the model's own
default. The first response is empty: the engine has taken the request. Each further one is a piece
of one choice: `TEXT` and `TOKEN_IDS`, with `CHOICE` where it is not 0. The last piece of a choice
has `FINISH_REASON`. The last response of a stream has `TIMINGS`, `LOAD` and Triton's final flag. A
failure is an error whose text `failure` writes and `parse_failure` reads.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from infra.engine.failure import Failure, Reason

Value = int | float | str | list[int] | list[float] | list[str] | dict[int, float]


@dataclass(frozen=True, slots=True)
class Tensor:
    """The form of one tensor."""

    datatype: str
    """INT32, INT64, UINT64, FP32, or UINT8 for UTF-8 text."""
    one: bool = True
    """It holds exactly one element; otherwise any number of them."""
    is_json: bool = False
    """Its text is JSON."""


INPUT_IDS = "input_ids"
MAX_OUTPUT_TOKENS = "max_output_tokens"

INPUTS: Mapping[str, Tensor] = {
    INPUT_IDS: Tensor("INT32", one=False),
    MAX_OUTPUT_TOKENS: Tensor("INT32"),
    "min_output_tokens": Tensor("INT32"),
    "temperature": Tensor("FP32"),
    "top_p": Tensor("FP32"),
    "top_k": Tensor("INT32"),
    "min_p": Tensor("FP32"),
    "presence_penalty": Tensor("FP32"),
    "frequency_penalty": Tensor("FP32"),
    "repetition_penalty": Tensor("FP32"),
    "seed": Tensor("UINT64"),
    "stop": Tensor("UINT8", one=False, is_json=True),
    "stop_token_ids": Tensor("INT32", one=False),
    "ignore_eos": Tensor("INT32"),
    "n": Tensor("INT32"),
    "logprobs": Tensor("INT32"),
    "top_logprobs": Tensor("INT32"),
    "logit_bias": Tensor("UINT8", one=False, is_json=True),
    "priority": Tensor("INT32"),
    "time_budget_ms": Tensor("INT32"),
    "json_schema": Tensor("UINT8", one=False),
    "regex": Tensor("UINT8", one=False),
    "structural_tag": Tensor("UINT8", one=False),
    "adapter": Tensor("UINT8", one=False),
    "cache_salt": Tensor("UINT8", one=False),
}
"""The inputs, by name, all but `input_ids` optional. `engine.Generation` says what they mean."""

TEXT = "text"
TOKEN_IDS = "token_ids"  # noqa: S105 - tokens of text
CHOICE = "choice"
LOGPROBS = "logprobs"
TOP_TOKEN_IDS = "top_token_ids"  # noqa: S105 - tokens of text
TOP_LOGPROBS = "top_logprobs"
CACHED_INPUT_TOKENS = "cached_input_tokens"
FINISH_REASON = "finish_reason"
MATCHED_STOP = "matched_stop"
TIMINGS = "timings"
LOAD = "load"

OUTPUTS: Mapping[str, Tensor] = {
    TEXT: Tensor("UINT8", one=False),
    TOKEN_IDS: Tensor("INT32", one=False),
    CHOICE: Tensor("INT32"),
    LOGPROBS: Tensor("FP32", one=False),
    TOP_TOKEN_IDS: Tensor("INT32", one=False),
    TOP_LOGPROBS: Tensor("FP32", one=False),
    CACHED_INPUT_TOKENS: Tensor("INT32"),
    FINISH_REASON: Tensor("UINT8", one=False),
    MATCHED_STOP: Tensor("UINT8", one=False),
    TIMINGS: Tensor("INT64", one=False),
    LOAD: Tensor("FP32", one=False),
}
"""The outputs, by name.

`text` never ends inside a character. `token_ids` are the tokens generated since the choice's last
piece, without the one that ended it; text that may begin a stop string lags behind them. `logprobs`
has one entry a token, when asked for. `top_token_ids` and `top_logprobs` have the same number for
each token, likeliest first; where the engine tells fewer, the rest are tokens below 0. With one of
the pieces, `cached_input_tokens` tells how much of the prompt was in the KV cache, where the engine
tells. `finish_reason` is `stop` or `length`; `matched_stop` is the stop string that ended the
choice. `timings` holds, in nanoseconds, the time in the queue, from the queue to the first token,
and from there to the last. `load` holds how busy the engine is, as `figures.Load` says.
"""

LEAVES = "leaves"
"""The request parameter that names a request, by its id, whose caller has left.

A request that has it asks for nothing else, and is answered with one empty response. Triton itself
can only be asked, again and again, whether a caller has left.
"""

FINAL = "triton_final_response"
"""The response parameter with which Triton marks the last response of a stream."""


_FAILURE = re.compile(
    r"(?P<reason>[A-Z_]+)(?: retry_after_s=(?P<retry>[0-9.]+))?(?: field=(?P<field>\w+))?"
    r": (?P<message>.*)",
    re.DOTALL,
)


def failure(error: Failure) -> str:
    """Write a failure as a Triton error's text, for example `QUEUE_FULL retry_after_s=1.500: …`."""
    retry = "" if error.retry_after_s is None else f" retry_after_s={error.retry_after_s:.3f}"
    field = f" field={error.field}" if error.field else ""
    return f"{error.reason}{retry}{field}: {error.message}"


def parse_failure(text: str) -> Failure | None:
    """Read a failure back; None when the text is Triton's own."""
    match = _FAILURE.fullmatch(text)
    if match is None or match["reason"] not in Reason.__members__:
        return None
    retry = None if match["retry"] is None else float(match["retry"])
    return Failure(Reason(match["reason"]), match["message"], retry, match["field"] or "")


_FORMATS = {"INT32": "i", "INT64": "q", "UINT64": "Q", "FP32": "f"}
_SIZES = {"INT32": 4, "INT64": 8, "UINT64": 8, "FP32": 4}


def encode(tensor: Tensor, value: Value) -> tuple[int, bytes]:
    """Return the number of elements and the bytes of a value on the wire."""
    if tensor.datatype == "UINT8":
        data = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
        return len(data), data
    items = value if isinstance(value, list) else [value]
    return len(items), struct.pack(f"<{len(items)}{_FORMATS[tensor.datatype]}", *items)


def decode(tensor: Tensor, data: bytes) -> Value:
    """Read a value back; the inverse of `encode`.

    Raises:
        ValueError: the bytes are not such a value.
    """
    if tensor.is_json:
        read: Value = msgspec.json.decode(data)
        return read
    if tensor.datatype == "UINT8":
        return data.decode()
    count = len(data) // _SIZES[tensor.datatype]
    items = list(struct.unpack(f"<{count}{_FORMATS[tensor.datatype]}", data))
    if not tensor.one:
        return items
    if count != 1:
        raise ValueError(f"must have one element, not {count}")
    one: Value = items[0]
    return one
