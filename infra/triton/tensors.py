"""Our tensors as Triton's Python backend has them: requests in, responses out."""

# Triton adds the rest of `triton_python_backend_utils` after it has imported this module.
from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import triton_python_backend_utils as pb_utils

from infra.engine.engine import Generation, Rivals
from infra.engine.failure import Failure, Reason
from infra.engine.frames import Piece
from infra.triton import contract


def read(request: pb_utils.InferenceRequest, context_window: int) -> Generation:
    """Read a request; without `max_output_tokens` it may fill what is left of the context window.

    Raises:
        ValueError: it breaks the contract; the text tells where.
    """
    values: dict[str, Any] = {}
    for tensor in request.inputs():
        name = tensor.name()
        # `as_numpy()` gives memory that nobody has written, under numpy 2 with Triton 2.51.
        data = np.from_dlpack(tensor).tobytes()
        try:
            values[name] = contract.decode(contract.INPUTS[name], data)
        except (ValueError, msgspec.DecodeError) as error:
            raise ValueError(f"{name}: {error}") from None
    room = context_window - len(values[contract.INPUT_IDS])
    values.setdefault(contract.MAX_OUTPUT_TOKENS, max(room, 1))
    generation = msgspec.convert(values, Generation, str_keys=True)
    if generation.max_output_tokens > room:
        raise ValueError(
            f"{contract.MAX_OUTPUT_TOKENS}: the prompt of {len(generation.input_ids)} tokens leaves"
            f" room for {room} in the context window of {context_window}"
        )
    return generation


def response(
    piece: Piece, timings: Sequence[int] | None, load: Sequence[float] | None
) -> pb_utils.InferenceResponse:
    """Write a piece; `timings` and `load` stand in the last one only."""
    tensors = [
        _text(contract.TEXT, piece.text),
        _tensor(contract.TOKEN_IDS, np.array(piece.token_ids, np.int32)),
    ]
    if piece.choice:
        tensors.append(_tensor(contract.CHOICE, np.array([piece.choice], np.int32)))
    if piece.logprobs:
        tensors.append(_tensor(contract.LOGPROBS, np.array(piece.logprobs, np.float32)))
    if piece.top_logprobs:
        tensors += _rivals(piece.top_logprobs)
    if piece.cached_input_tokens:
        cached = np.array([piece.cached_input_tokens], np.int32)
        tensors.append(_tensor(contract.CACHED_INPUT_TOKENS, cached))
    if piece.finish_reason is not None:
        tensors.append(_text(contract.FINISH_REASON, piece.finish_reason))
    if piece.matched_stop:
        tensors.append(_text(contract.MATCHED_STOP, piece.matched_stop))
    if timings is not None:
        tensors.append(_tensor(contract.TIMINGS, np.array(timings, np.int64)))
    if load is not None:
        tensors.append(_tensor(contract.LOAD, np.array(load, np.float32)))
    return pb_utils.InferenceResponse(tensors)


def error(failure: Failure) -> pb_utils.InferenceResponse:
    """Write a failure."""
    codes = {
        Reason.INVALID: pb_utils.TritonError.INVALID_ARG,
        Reason.CANCELLED: pb_utils.TritonError.CANCELLED,
    }
    code = codes.get(failure.reason, pb_utils.TritonError.UNAVAILABLE)
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(contract.failure(failure), code))


def accepted() -> pb_utils.InferenceResponse:
    """Write the response that says that the engine has taken the request."""
    return pb_utils.InferenceResponse([])


def send(
    sender: pb_utils.InferenceResponseSender, made: pb_utils.InferenceResponse, *, is_last: bool
) -> None:
    """Hand a response to Triton, which has copied it when this returns."""
    sender.send(made, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if is_last else 0)


def _rivals(top_logprobs: Sequence[Rivals]) -> list[pb_utils.Tensor]:
    width = max(map(len, top_logprobs))
    rows = [[*rivals, *[_NOBODY] * (width - len(rivals))] for rivals in top_logprobs]
    ids = np.array([token for row in rows for token, _ in row], np.int32)
    logprobs = np.array([logprob for row in rows for _, logprob in row], np.float32)
    return [_tensor(contract.TOP_TOKEN_IDS, ids), _tensor(contract.TOP_LOGPROBS, logprobs)]


def _text(name: str, text: str) -> pb_utils.Tensor:
    return _tensor(name, np.array(bytearray(text.encode()), np.uint8))


def _tensor(name: str, values: np.ndarray[Any, Any]) -> pb_utils.Tensor:
    # The constructor takes numpy 2's arrays for empty ones, in Triton 2.51.
    shared = _Shared(values.__dlpack__())
    tensor = pb_utils.Tensor.from_dlpack(name, shared)
    # Triton marks what it has taken by a name that numpy does not know, and complains of.
    _rename(shared.capsule, _TAKEN)
    return tensor


@dataclass(frozen=True, slots=True)
class _Shared:
    """An array as DLPack has it."""

    capsule: object

    def __dlpack__(self, stream: object = None) -> object:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU


_NOBODY = (-1, 0.0)
_CPU = (1, 0)
_TAKEN = b"used_dltensor"
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_SetName", ctypes.pythonapi)
)
