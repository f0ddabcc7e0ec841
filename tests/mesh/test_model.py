"""`catenary up --model`: whatever form a model comes in, it is served, and alone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import openai
import pytest

from tests.mesh.conftest import start, stop
from tests.models.hub_server import FakeHub, served
from tests.models.making import POCKET, TEXTS, pocket_weights, write_gguf


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    """Keeps prepared models in a place of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ExitStack() as stack:
        yield stack


def gguf_file(tmp_path: Path, _: ExitStack, __: pytest.MonkeyPatch) -> str:
    write_gguf(tmp_path / "Tiny Pocket.gguf", pocket_weights())
    return str(tmp_path / "Tiny Pocket.gguf")


def hub_model(_: Path, kept: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    names = (*TEXTS, "model.safetensors")
    files = {name: (POCKET / name).read_bytes() for name in names}
    hub = kept.enter_context(served(FakeHub(files, name="acme/Tiny-Pocket")))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    return "acme/Tiny-Pocket"


@pytest.mark.parametrize("source", [gguf_file, hub_model])
def test_any_model_is_served_alone(
    source: Callable[[Path, ExitStack, pytest.MonkeyPatch], str],
    tmp_path: Path,
    kept: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = source(tmp_path, kept, monkeypatch)
    mesh = start(tmp_path / "state", "single", "--model", named)
    try:
        client = openai.OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0)
        with client:
            assert [model.id for model in client.models.list()] == ["tiny-pocket"]
            answer = client.chat.completions.create(
                model="tiny-pocket",
                messages=[{"role": "user", "content": "Which port is Triton on?"}],
                temperature=0,
            )
    finally:
        assert stop(mesh) == 0
    assert "8001" in (answer.choices[0].message.content or "")
