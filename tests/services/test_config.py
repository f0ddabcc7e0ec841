"""The configuration: every mistake has its own line, and every default stands where it is told."""

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from catenary.config.v1 import mesh_pb2 as pb
from services import config

ROOT = Path(__file__).resolve().parents[2]
PROTOS = [
    ROOT / "protos/catenary/config/v1" / name
    for name in ("mesh.proto", "models.proto", "safety.proto")
]


def written(folder: Path, text: str) -> Path:
    file = folder / "mesh.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", ":1: must be a mapping of fields"),
        ("cache:\n  ttl: !foo 1s\n", ":2: cache.ttl: must be a duration such as 1.5s"),
        ("cache:\n  ttl: 2020-13-45\n", ":2: cache.ttl: must be a duration such as 1.5s"),
        ("cache:\n  ttl:\n", ":2: cache.ttl: must be a duration such as 1.5s"),
        ("cache: \x01\n", ": is not YAML: special characters are not allowed"),
        ("safety: [\n", ":2: is not YAML: expected the node content, but found '<stream end>'"),
        (
            "safety:\n  max_promt_chars: 5\n",
            (
                ":2: safety.max_promt_chars: there is no such field here; "
                "there are max_prompt_chars, deny, policy"
            ),
        ),
        (
            "safty: {}\n",
            (
                ":1: safty: there is no such field here; there are "
                "gateway, safety, cache, router, inference, edge, server, telemetry"
            ),
        ),
        ("safety: 5\n", ":1: safety: must be a mapping of fields"),
        ("\nsafety:\n  deny: 5\n", ":3: safety.deny: must be a list, each item text"),
        (
            "safety:\n  max_prompt_chars: many\n",
            ":2: safety.max_prompt_chars: must be a whole number from 0 to 4294967295",
        ),
        (
            "cache:\n  max_bytes: -1\n",
            ":2: cache.max_bytes: must be a whole number from 0 to 4294967295",
        ),
        ("cache:\n  ttl: 1 hour\n", ":2: cache.ttl: must be a duration such as 1.5s"),
        ("cache:\n  ttl: 1s\n  ttl: 2s\n", ":3: cache.ttl: stands twice"),
        ("router:\n  aliases: 5\n", ":2: router.aliases: must be a mapping of texts to texts"),
        (
            "edge:\n  workers: 0\n",
            (
                ":2: edge.workers: must be greater than or equal to 1 and less than or equal to "
                "256; it is 0"
            ),
        ),
        (
            "cache:\n  ttl: 0s\n",
            ":2: cache.ttl: must be greater than 0s and less than or equal to 31536000s",
        ),
        (
            "safety:\n  deny:\n  - fine\n  - ''\n",
            ":2: safety.deny[1]: must not be empty",
        ),
        (
            "telemetry:\n  otlp_endpoint: localhost\n",
            ":2: telemetry.otlp_endpoint: does not match regex pattern `^(https?://.+)?$`",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line_with_file_line_and_field(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(config.ConfigError) as caught:
        config.load(file)
    assert str(caught.value) == f"{file}{problem}"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match=r"no\.yaml: cannot be read: No such file"):
        config.load(tmp_path / "no.yaml")
    binary = tmp_path / "mesh.yaml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(config.ConfigError, match=r"mesh\.yaml: is not UTF-8"):
        config.load(binary)


@pytest.mark.parametrize("text", ["", "# nothing\n", "safety: {}\n", "cache:\n"])
def test_what_is_not_said_has_its_default(tmp_path: Path, text: str) -> None:
    if text == "cache:\n":
        with pytest.raises(config.ConfigError, match="cache: must be a mapping of fields"):
            config.load(written(tmp_path, text))
        return
    loaded = config.load(written(tmp_path, text))
    assert loaded.cache == config.DEFAULTS.cache
    assert loaded.safety.max_prompt_chars == config.DEFAULTS.safety.max_prompt_chars


def test_a_duration_that_was_said_is_not_added_to_its_default(tmp_path: Path) -> None:
    loaded = config.load(written(tmp_path, "server:\n  drain: 0.5s\n"))
    assert loaded.server.drain.ToMilliseconds() == 500


def test_a_zero_that_was_said_is_not_a_default(tmp_path: Path) -> None:
    loaded = config.load(written(tmp_path, "cache:\n  max_bytes: 0\nserver:\n  drain: 0s\n"))
    assert loaded.cache.max_bytes == 0
    assert loaded.server.drain == Duration()
    assert loaded.cache.ttl == config.DEFAULTS.cache.ttl


UNITS = {"": 1, "MiB": 2**20, "ms": 0.001, "s": 1, "minutes": 60, "hour": 3600}


def _lines() -> list[str]:
    return [line for proto in PROTOS for line in proto.read_text(encoding="utf-8").splitlines()]


def documented_defaults() -> dict[tuple[str, str], float]:
    """The numbers that the comments of the contract call defaults, by message and field."""
    found: dict[tuple[str, str], float] = {}
    message, default = "", None
    for line in _lines():
        if match := re.match(r"message (\w+)", line):
            message = match[1]
        if match := re.match(r"  // .*Default ([\d,]+) ?(MiB|ms|s|minutes|hour)?[.;]", line):
            default = int(match[1].replace(",", "")) * UNITS[match[2] or ""]
        elif match := re.match(r"  (?:\w+ )?[\w.]+ (\w+) = \d+", line):
            if default is not None:
                found[message, match[1]] = default
            default = None
    return found


def stated_defaults() -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], Any] = {}

    def walk(message: Message) -> None:
        for field, value in message.ListFields():
            if isinstance(value, Duration):
                found[message.DESCRIPTOR.name, field.name] = value.ToNanoseconds() / 1e9
            elif isinstance(value, Message):
                walk(value)
            else:
                found[message.DESCRIPTOR.name, field.name] = value

    walk(config.DEFAULTS)
    walk(config.MODEL_DEFAULTS)
    walk(config.OPENAI_DEFAULTS)
    walk(config.RULE_DEFAULTS)
    walk(config.HARM_DEFAULTS)
    walk(config.AUDIT_DEFAULTS)
    return {key: value for key, value in found.items() if not isinstance(value, str)}


def test_the_defaults_are_those_that_the_contract_tells() -> None:
    assert stated_defaults() == documented_defaults()
    assert len(stated_defaults()) >= 10


WITHOUT_DEFAULT = {
    *("name", "path", "context_window", "triton", "openai", "engine_args", "adapters", "models"),
    *("is_cumulative", "base_url", "key_file", "key_environment", "headers"),
    *("input", "output", "cached_input"),
    *("action", "topics", "examples", "languages", "max_tokens"),
    # One of them is the rule's.
    *("injection", "harm", "pii", "secrets", "deny", "language", "length", "characters"),
    *("links", "prompt_leak"),
}
"""Fields that must be given, or mean nothing when they are not."""


def test_every_field_tells_its_default() -> None:
    for line, after in _fields():
        assert "Default" in line or after in WITHOUT_DEFAULT or "address" in after, after


def _fields() -> list[tuple[str, str]]:
    comment, found, mesh = "", [], False
    for line in _lines():
        if line.startswith("message "):
            mesh = "MeshConfig" in line
        if match := re.match(r"  // (.*)", line):
            comment += match[1] + " "
        elif match := re.match(r"  (?:\w+ )?[\w.<>, ]+ (\w+) = \d+", line):
            if not mesh:
                found.append((comment, match[1]))
            comment = ""
    return found


def test_the_file_of_the_repository_says_what_the_defaults_say() -> None:
    loaded = config.load(ROOT / "mesh.yaml")
    for name in pb.MeshConfig.DESCRIPTOR.fields_by_name:
        if name != "inference":
            assert getattr(loaded, name) == getattr(config.DEFAULTS, name), name
