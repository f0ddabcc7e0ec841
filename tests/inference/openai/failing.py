"""Asks backends that fail."""

import pytest
from prometheus_client import CollectorRegistry

from services import telemetry
from services.errors import MeshError
from services.inference.openai import OpenAiBackend
from services.link import Call
from tests.inference.asking import ask, asking


async def failing(backend: OpenAiBackend, call: Call | None = None) -> MeshError:
    with pytest.raises(MeshError) as raised:
        await ask(backend, asking(), call)
    return raised.value


def counted(registry: CollectorRegistry, outcome: str) -> float:
    labels = {"model": "pocket", "outcome": outcome}
    return registry.get_sample_value(f"{telemetry.UPSTREAM_CALLS}_total", labels) or 0
