"""What callers see, each with the client that they would use."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.mesh.conftest import CATENARY, Mesh

QUESTION = "What is Catenary?"
BUF = Path(sys.executable).with_name("buf")


@pytest.fixture
def client(mesh: Mesh) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=30)


def ask(question: str) -> list[ChatCompletionUserMessageParam]:
    return [{"role": "user", "content": question}]


def test_openai_streams_a_chat(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="pocket",
            messages=ask(QUESTION),
            stream=True,
            stream_options={"include_usage": True},
            temperature=0,
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "Catenary" in text
    assert chunks[-2].choices[0].finish_reason == "stop"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 5


def test_openai_answers_at_once_the_same_as_streamed(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(
        model="pocket",
        messages=ask("Which port does Envoy listen on?"),
        temperature=0,
    )
    assert "8080" in str(whole.choices[0].message.content)
    assert whole.choices[0].finish_reason == "stop"


def test_openai_lists_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["minilm", "pocket"]
    assert client.models.retrieve("pocket").id == "pocket"


def test_curl_shows_server_sent_events(mesh: Mesh) -> None:
    body = json.dumps({"model": "pocket", "stream": True, "messages": ask(QUESTION)})
    shown = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--no-buffer", "--include", "--max-time", "30"),
            *("-H", "content-type: application/json", "-d", body),
            f"{mesh.url}/v1/chat/completions",
        ],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.decode()
    head, _, events = shown.partition("\r\n\r\n")
    assert "200 OK" in head
    assert "text/event-stream" in head
    data = [line for line in events.splitlines() if line]
    assert all(line.startswith("data: ") for line in data)
    assert len(data) > 3
    assert data[-1] == "data: [DONE]"


def test_buf_curl_calls_the_native_rpc(mesh: Mesh) -> None:
    request = {
        "model": "pocket",
        "messages": [{"role": "ROLE_USER", "content": [{"text": QUESTION}]}],
        "controls": {"includeDecisions": True},
    }
    shown = subprocess.run(
        [
            *(str(BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge"),
            *("-d", json.dumps(request), f"{mesh.url}/catenary.v1.Generation/Generate"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    decoder, events = json.JSONDecoder(), []
    while shown.strip():
        event, end = decoder.raw_decode(shown.lstrip())
        events.append(event)
        shown = shown.lstrip()[end:]
    assert "started" in events[0]
    assert "finished" in events[-1]
    decided = {next(iter(event["decision"])) for event in events if "decision" in event}
    assert decided == {"gateway", "safety", "cache", "router", "inference"}


def test_node_calls_the_native_rpc(mesh: Mesh) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    folder = Path(__file__).resolve().parents[1] / "clients" / "node"
    if not (folder / "node_modules").is_dir():
        subprocess.run(["npm", "ci"], cwd=folder, check=True, timeout=100)
    shown = subprocess.run(
        [node, str(folder / "generate.mjs"), mesh.address, "pocket", QUESTION],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "Catenary" in shown
    assert "finished" in shown


def test_chat_answers_in_the_terminal(mesh: Mesh) -> None:
    shown = subprocess.run(
        [str(CATENARY), "chat", "--address", mesh.address, "Which links does Catenary have?"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "gateway" in shown.stdout
    for link in ("gateway", "safety", "cache", "router", "inference"):
        assert link in shown.stderr


def test_status_shows_every_part(mesh: Mesh) -> None:
    shown = subprocess.run(
        [
            *(str(CATENARY), "status", "--port-base", str(mesh.base)),
            *("--state-dir", str(mesh.state_dir)),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    links = (
        ["mesh"]
        if mesh.placement == "single"
        else ["gateway", "safety", "cache", "router", "inference"]
    )
    for part in ("envoy", "triton", *links):
        assert part in shown
