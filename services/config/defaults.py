"""What a configuration that says nothing means: every default is stated here, and only here."""

import platform
import sys
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from catenary.config.v1 import mesh_pb2 as pb
from catenary.config.v1 import models_pb2, safety_pb2

DEFAULTS = pb.MeshConfig(
    gateway=pb.GatewayConfig(default_deadline=Duration(seconds=600), max_calls=1024),
    safety=pb.SafetyConfig(max_prompt_chars=1_000_000),
    cache=pb.CacheConfig(max_bytes=64 * 1024 * 1024, ttl=Duration(seconds=3600)),
    edge=pb.EdgeConfig(max_body_bytes=16 * 1024 * 1024, max_connections=4096, workers=2),
    server=pb.ServerConfig(drain=Duration(seconds=10)),
)
"""What a mesh.yaml that says nothing means."""

HAS_TRITON = (sys.platform, platform.machine()) == ("linux", "x86_64")
"""Elsewhere there is no Triton to install, and the engine runs beside the inference link."""

MODEL_DEFAULTS = models_pb2.ModelConfig(
    version=1,
    engine="openvino" if HAS_TRITON else "in_process",
    owner="catenary",
    max_sequences=64,
    max_queue=256,
    max_waiting_tokens=4_000_000,
    kv_cache_mib=512,
    stream_interval=Duration(nanos=20_000_000),
)
"""What a model that names only its files means."""

OPENAI_DEFAULTS = models_pb2.OpenAiTarget(
    kind="openai",
    connect_timeout=Duration(seconds=5),
    idle_timeout=Duration(seconds=120),
    max_calls=256,
)
"""What a server with OpenAI's API that is only named means."""

POCKET = models_pb2.ModelConfig(
    name="pocket", path=str(Path(__file__).resolve().parents[2] / "models" / "pocket")
)
"""The model of the project."""

MINILM = models_pb2.ModelConfig(name="minilm", engine="embeddings")
"""all-MiniLM-L6-v2, whose files come with a package."""

DEFAULT_MODELS = (POCKET, MINILM)
"""What is served where there is no models.yaml, or none in it."""


RULE_DEFAULTS = safety_pb2.SafetyRule(deadline=Duration(seconds=2))
"""What a rule of a policy that names only its detector means."""

HARM_DEFAULTS = safety_pb2.HarmDetector(severity=2)
"""What the detector of harm means that is only named."""

AUDIT_DEFAULTS = safety_pb2.SafetyAudit(max_bytes=64 * 1024 * 1024, keep=10)
"""What an audit that names only its file means."""


def complete_policy(policy: safety_pb2.SafetyPolicy) -> None:
    """Fill in what a policy does not say."""
    complete(AUDIT_DEFAULTS, policy.audit)
    for rule in (rule for profile in policy.profiles for rule in profile.rules):
        complete(RULE_DEFAULTS, rule)
        if rule.HasField("harm"):
            complete(HARM_DEFAULTS, rule.harm)


def complete(defaults: Message, given: Message) -> None:
    """Fill in what was not given."""
    completed = type(given)()
    completed.CopyFrom(defaults)
    _clear_durations(completed, given)
    completed.MergeFrom(given)
    given.CopyFrom(completed)


def _clear_durations(defaults: Message, given: Message) -> None:
    # A merge goes into durations too: 10 s and 0.5 s would make 10.5 s.
    for descriptor, value in given.ListFields():
        if isinstance(value, Duration):
            defaults.ClearField(descriptor.name)
        elif isinstance(value, Message):
            _clear_durations(getattr(defaults, descriptor.name), value)
