"""Tensors of any model's as values: inputs written to a request, outputs read from a response."""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tritonclient.grpc import service_pb2

Scalar = bool | int | float | str
Value = Scalar | Sequence[str]
"""What an input holds: one element, or several texts."""

_LENGTH = struct.Struct("<I")
"""Each element of a BYTES tensor stands behind its length."""

_FORMATS = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}

_NO_VALUE = "None"
"""How NVIDIA's models write that there is none: as Python does."""


def encode(datatype: str, values: Sequence[Scalar]) -> bytes:
    """Write the elements of a tensor.

    Raises:
        ValueError: they do not fit its type.
    """
    if datatype == "BYTES":
        texts = [str(value).encode() for value in values]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    try:
        return struct.pack(f"<{len(values)}{_FORMATS[datatype]}", *values)
    except (KeyError, struct.error):
        raise ValueError(f"not a value of type {datatype}") from None


def decode(datatype: str, data: bytes) -> list[Scalar]:
    """Read the elements of a tensor; the inverse of `encode`.

    Raises:
        ValueError: the bytes are not such a tensor.
    """
    if datatype == "BYTES":
        return list(_texts(data))
    if datatype not in _FORMATS:
        raise ValueError(f"no elements can be read from type {datatype}")
    one = struct.Struct(f"<{_FORMATS[datatype]}")
    if len(data) % one.size:
        raise ValueError(f"{len(data)} bytes are no elements of type {datatype}")
    return [value for (value,) in one.iter_unpack(data)]


def _texts(data: bytes) -> list[str]:
    texts, start = [], 0
    while start < len(data):
        begin = start + _LENGTH.size
        if begin > len(data):
            raise ValueError("a BYTES tensor ends inside a length")
        start = begin + _LENGTH.unpack_from(data, begin - _LENGTH.size)[0]
        if start > len(data):
            raise ValueError("a BYTES tensor ends inside an element")
        texts.append(data[begin:start].decode(errors="replace"))
    return texts


def add(
    request: service_pb2.ModelInferRequest,
    name: str,
    datatype: str,
    value: Value,
    *,
    is_batched: bool,
) -> None:
    """Write an input into a request; a model that batches has a dimension more, of one row.

    Raises:
        ValueError: the value does not fit the type.
    """
    values = [value] if isinstance(value, Scalar) else list(value)
    shape = [1, len(values)] if is_batched else [len(values)]
    request.raw_input_contents.append(encode(datatype, values))
    request.inputs.add(name=name, datatype=datatype, shape=shape)


class Outputs(NamedTuple):
    """The outputs of one response, by name; whatever their shape, their elements in order.

    Numbers are read as such wherever they stand as text, as NVIDIA's models send many of them.
    """

    tensors: Mapping[str, list[Scalar]]

    @classmethod
    def read(cls, response: service_pb2.ModelInferResponse) -> "Outputs":
        """Read a response.

        Raises:
            ValueError: it is not one of Triton's.
        """
        outputs = zip(response.outputs, response.raw_output_contents, strict=True)
        return cls({output.name: decode(output.datatype, data) for output, data in outputs})

    def text(self, name: str) -> str:
        """Return the first text of an output, as it stands; empty where it is absent."""
        values = self.tensors.get(name)
        return str(values[0]) if values else ""

    def word(self, name: str) -> str:
        """Return the one word of an output; empty where it is absent, or there is none."""
        text = self.text(name)
        return "" if text == _NO_VALUE else text

    def integer(self, name: str) -> int | None:
        """Return the one number of an output; None where it is absent, or there is none.

        Raises:
            ValueError: it is not a number.
        """
        word = self.word(name)
        return int(word) if word else None

    def floats(self, name: str) -> list[float]:
        """Return the numbers of an output; none where it is absent.

        Raises:
            ValueError: one is not a number.
        """
        return [float(value) for value in self.tensors.get(name, [])]
