"""`x-request-timeout-ms` through Envoy, down to the engine."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.mesh.conftest import Mesh

# So many tokens take seconds.
LONG: Mapping[str, Any] = {
    "model": "pocket",
    "messages": [{"role": "user", "content": "What is Catenary?"}],
    "min_tokens": 1900,
    "max_tokens": 1900,
    "catenary": {"cache": {"mode": "bypass"}},
}
TURN = {"role": "ROLE_USER", "content": [{"text": "hi"}]}
NATIVE: Mapping[str, Any] = {"model": "pocket", "messages": [TURN]}
TEXTS: Mapping[str, Any] = {"model": "minilm", "input": ["a " * 200] * 50}


def asked(mesh: Mesh, path: str, body: Mapping[str, Any], timeout_ms: str) -> httpx.Response:
    headers = {"x-request-timeout-ms": timeout_ms}
    return httpx.post(f"{mesh.url}{path}", json=body, headers=headers, timeout=60)


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/chat/completions", LONG), ("/v1/embeddings", TEXTS)]
)
def test_an_answer_that_is_late_is_an_error(mesh: Mesh, path: str, body: Mapping[str, Any]) -> None:
    response = asked(mesh, path, body, "5")
    assert response.status_code == httpx.codes.GATEWAY_TIMEOUT
    assert response.json()["error"]["code"] == "deadline_exceeded"


def test_a_native_answer_that_is_late_is_a_status(mesh: Mesh) -> None:
    asks = {**NATIVE, "sampling": {"min_output_tokens": 1900}}
    response = asked(mesh, "/catenary/v1/generate", asks, "5")
    assert response.status_code == httpx.codes.GATEWAY_TIMEOUT
    assert response.json()["details"][0]["reason"] == "DEADLINE_EXCEEDED"


def test_the_engine_refuses_what_cannot_be_done_in_time(mesh: Mesh) -> None:
    chat = f"{mesh.url}/v1/chat/completions"
    with httpx.stream("POST", chat, json={**LONG, "stream": True}, timeout=60) as busy:
        lines = busy.iter_lines()
        for _ in range(10):
            next(lines)
        response = asked(mesh, "/v1/chat/completions", LONG, "700")
    assert response.status_code == httpx.codes.GATEWAY_TIMEOUT
    assert "so much to do" in response.json()["error"]["message"]


def test_a_stream_that_is_late_ends_with_the_error(mesh: Mesh) -> None:
    response = asked(mesh, "/v1/chat/completions", {**LONG, "stream": True}, "700")
    assert '"code": "deadline_exceeded"' in response.text
    assert "[DONE]" not in response.text


@pytest.mark.parametrize("value", ["", "0", "2.5", "soon"])
def test_a_bad_header_is_refused_by_name(mesh: Mesh, value: str) -> None:
    for path, body in (("/v1/chat/completions", LONG), ("/v1/embeddings", TEXTS)):
        response = asked(mesh, path, body, value)
        assert response.status_code == httpx.codes.BAD_REQUEST
        assert response.json()["error"]["param"] == "x-request-timeout-ms"
    for path in ("/catenary/v1/generate", "/catenary/v1/tokens:count"):
        response = asked(mesh, path, NATIVE, value)
        assert response.status_code == httpx.codes.BAD_REQUEST
        assert "x-request-timeout-ms" in response.json()["message"]
