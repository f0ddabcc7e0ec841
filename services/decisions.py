"""Decisions as flat attributes: the one form that spans and people read them in."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from catenary.v1.decision_pb2 import Decision, Direction, SafetyDecision

Value = str | bool | int | float

_MAX_ITEMS = 8
"""The most that is told of a list, the first ones: a span has 128 attributes by default."""


def attributes(decisions: Iterable[Decision]) -> dict[str, Value]:
    """Flatten what links did for one request: `{"mesh.cache.outcome": "hit"}`.

    Durations are in seconds. Safety decides in both directions, `mesh.safety.input.verdict` and
    `mesh.safety.output.verdict`, and on the way out more than once: that is summed up.
    """
    told: dict[str, Message] = {}
    safety: dict[str, SafetyDecision] = {}
    for decision in decisions:
        link = decision.WhichOneof("link")
        if link == "safety":
            direction = _short(Direction.Name(decision.safety.direction))
            _add(safety.setdefault(f"mesh.{link}.{direction}", SafetyDecision()), decision.safety)
        elif link is not None:
            told[f"mesh.{link}"] = getattr(decision, link)
    return dict(item for name, did in (told | safety).items() for item in _flatten(name, did))


def _add(known: SafetyDecision, more: SafetyDecision) -> None:
    verdict = max(known.verdict, more.verdict)
    known.MergeFrom(more)
    known.verdict = verdict
    known.ClearField("direction")
    known.findings.sort(key=lambda finding: (-finding.verdict, -finding.score))


def _flatten(prefix: str, message: Message) -> list[tuple[str, Value]]:
    flat: list[tuple[str, Value]] = []
    for descriptor, value in message.ListFields():
        name = f"{prefix}.{descriptor.name}"
        if descriptor.is_repeated:
            for index, item in enumerate(value[:_MAX_ITEMS]):
                flat += _one(f"{name}.{index}", descriptor, item)
            if len(value) > _MAX_ITEMS:
                flat.append((f"{name}.more", len(value) - _MAX_ITEMS))
        else:
            flat += _one(name, descriptor, value)
    return flat


def _one(name: str, descriptor: FieldDescriptor, value: Any) -> list[tuple[str, Value]]:
    if isinstance(value, Duration):
        return [(f"{name}_s", value.ToNanoseconds() / 1e9)]
    if isinstance(value, Message):
        return _flatten(name, value)
    if descriptor.enum_type is not None:
        return [(name, _short(descriptor.enum_type.values_by_number[value].name))]
    return [(name, value)]


def _short(value: str) -> str:
    # OUTCOME_HIT reads as `hit`: the prefix repeats the enum's own name.
    return value.split("_", 1)[1].lower()
