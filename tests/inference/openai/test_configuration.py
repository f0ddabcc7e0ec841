"""A model on a server with OpenAI's API, as models.yaml has it."""

from pathlib import Path

import pytest

from services.config import ConfigError, load_models
from services.inference.openai import HttpClient, OpenAiBackend
from services.models import describe

MODELS = """
models:
  - name: llama
    engine: openai
    context_window: 8192
    openai:
      base_url: http://10.0.0.7:8000/v1/
      kind: vllm
      model: meta-llama/Llama-3.1-8B-Instruct
      key_file: llama.key
      idle_timeout: 7s
"""


async def test_a_model_is_built_as_it_is_configured(tmp_path: Path, client: HttpClient) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(MODELS)
    (tmp_path / "llama.key").write_text("a-key")
    config = load_models(file).models[0]
    backend = OpenAiBackend.configured(config, describe([config])["llama"], client)
    assert (backend.engine, backend.model) == ("vllm", "meta-llama/Llama-3.1-8B-Instruct")
    assert backend.card.context_window == 8192
    assert backend.capabilities == ["chat"]
    upstream = backend.upstream
    assert upstream.base_url == "http://10.0.0.7:8000/v1"
    assert (upstream.connect_timeout_s, upstream.idle_timeout_s) == (5, 7)
    assert upstream.gate.max_calls == 256
    assert upstream.key.read() == "a-key"


def test_a_model_without_a_server_is_none(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("models:\n  - name: llama\n    engine: openai\n")
    with pytest.raises(ConfigError) as raised:
        load_models(file)
    assert raised.value.field == "models[0].openai.base_url"
