"""What the log line and the spans of a request tell of safety: every decision, and never a text."""

import json
import logging
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from catenary.v1 import embeddings_pb2
from services.errors import MeshError
from services.hop import Hop
from services.link import Link
from services.safety.policies import Policies
from services.safety.unary import SafetyUnary
from services.telemetry import HopMetrics
from services.tracing import Tracing
from services.unary_hop import UnaryHop
from tests.conftest import Topology
from tests.fakes import Answering, Scripted, answer, call, outcome, request
from tests.gateway.parts import gateway
from tests.guarding import guarded, inspector, policy

RULES = """
profiles:
- name: own
  rules:
  - secrets: {}
    output: {action: redact}
  - pii: {}
    input: {action: pseudonymise}
  - deny: {phrases: [bluebird]}
    input: {action: block}
    documents: {action: block}
    output: {action: block}
"""
KEY = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
MAIL = "anna@mail.example"


class Observed:
    """The spans that were made."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(provider.get_tracer("test"))

    def attributes(self, name: str) -> dict[str, object]:
        [span] = [one for one in self._exporter.get_finished_spans() if one.name == name]
        return dict(span.attributes or {})


def observed(name: str, link: Link, spans: Observed) -> Hop:
    return Hop(name, link, HopMetrics(CollectorRegistry()), spans.tracing, {"pocket"})


async def line_of(
    topology: Topology,
    spans: Observed,
    said: str,
    answers: Sequence[str],
    caplog: pytest.LogCaptureFixture,
) -> dict[str, object]:
    """Ask through gateway and safety; return the line that the gateway logs."""
    link = await topology.chain(
        lambda upstream: observed("gateway", gateway(upstream), spans),
        lambda upstream: observed("safety", guarded(upstream, text=RULES), spans),
        terminal=Scripted(answer(*answers)),
    )
    with caplog.at_level(logging.INFO):
        await outcome(link, request(said), call(tenant="default", key_id="k-1"))
    [record] = [one for one in caplog.records if one.message == "request"]
    return vars(record)


async def test_a_blocked_prompt_is_told_with_all_that_was_decided(
    topology: Topology, caplog: pytest.LogCaptureFixture
) -> None:
    spans = Observed()
    line = await line_of(topology, spans, f"bluebird of {MAIL}", ["never"], caplog)
    told = {
        "mesh.safety.input.verdict": "block",
        "mesh.safety.input.profile": "own",
        "mesh.safety.input.findings.0.detector": "deny",
        "mesh.safety.input.findings.0.category": "phrase",
        "mesh.safety.input.findings.0.score": 1.0,
        "mesh.safety.input.findings.1.category": "email",
    }
    assert (line["outcome"], line["reason"]) == ("error", "PROMPT_BLOCKED")
    assert line["mesh.gateway.tenant"] == "default"
    assert told.items() <= line.items()
    assert told.items() <= spans.attributes("safety").items()
    assert MAIL not in json.dumps(line, default=str) + str(spans.attributes("safety"))


async def test_both_directions_are_told(
    topology: Topology, caplog: pytest.LogCaptureFixture
) -> None:
    spans = Observed()
    line = await line_of(topology, spans, f"to {MAIL}", [f"the key is {KEY} "], caplog)
    told = {
        "mesh.safety.input.verdict": "pseudonymise",
        "mesh.safety.input.findings.0.category": "email",
        "mesh.safety.output.verdict": "redact",
        "mesh.safety.output.findings.0.detector": "secrets",
    }
    assert told.items() <= line.items()
    assert told.items() <= spans.attributes("safety").items()
    assert KEY not in json.dumps(line, default=str) + str(spans.attributes("safety"))


async def test_a_blocked_text_to_embed_is_told_in_the_log_and_not_to_the_caller(
    caplog: pytest.LogCaptureFixture, registry: CollectorRegistry
) -> None:
    spans = Observed()
    safe = SafetyUnary(Answering(), Policies(policy(RULES)), inspector(registry), 1000)
    hop = UnaryHop("gateway", safe, HopMetrics(registry), spans.tracing, {"minilm"})
    asked = embeddings_pb2.EmbedRequest(model="minilm", texts=["a bluebird"])
    with caplog.at_level(logging.INFO), pytest.raises(MeshError) as caught:
        await hop.embed(asked, call(tenant="acme"))
    assert not caught.value.decisions
    [record] = [one for one in caplog.records if one.message == "request"]
    line = vars(record)
    assert line["mesh.gateway.tenant"] == "acme"
    assert line["mesh.safety.input.findings.0.detector"] == "deny"
