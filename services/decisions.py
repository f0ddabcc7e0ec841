"""Decisions as flat attributes: the one form that spans and people read them in."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from catenary.v1.decision_pb2 import Decision

Value = str | bool | int | float


def attributes(decision: Decision) -> Mapping[str, Value]:
    """Flatten what the link set: `{"mesh.cache.outcome": "hit"}`; durations are in seconds."""
    link = decision.WhichOneof("link")
    if link is None:
        return {}
    return dict(_flatten(f"mesh.{link}", getattr(decision, link)))


def _flatten(prefix: str, message: Message) -> list[tuple[str, Value]]:
    flat: list[tuple[str, Value]] = []
    for descriptor, value in message.ListFields():
        name = f"{prefix}.{descriptor.name}"
        if descriptor.is_repeated:
            for index, item in enumerate(value):
                flat += _one(f"{name}.{index}", descriptor, item)
        else:
            flat += _one(name, descriptor, value)
    return flat


def _one(name: str, descriptor: FieldDescriptor, value: Any) -> list[tuple[str, Value]]:
    if isinstance(value, Duration):
        return [(f"{name}_s", value.ToNanoseconds() / 1e9)]
    if isinstance(value, Message):
        return _flatten(name, value)
    if descriptor.enum_type is not None:
        # OUTCOME_HIT reads as `hit`: the prefix repeats the enum's own name.
        return [(name, descriptor.enum_type.values_by_number[value].name.split("_", 1)[1].lower())]
    return [(name, value)]
