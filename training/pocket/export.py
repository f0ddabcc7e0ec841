"""Writes a trained model in Hugging Face's files."""

import json
from pathlib import Path

from safetensors.torch import save
from tokenizers import Tokenizer

from training.pocket.model import Llama
from training.pocket.shape import generation_config, hugging_face_config
from training.pocket.tokenizer import TEMPLATE, special_ids, tokenizer_config


def export(model: Llama, tokenizer: Tokenizer, folder: Path) -> None:
    """Write configuration, tokenizer, chat template and bfloat16 weights to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = special_ids()
    write_json(folder / "config.json", hugging_face_config(model.shape, ids))
    write_json(folder / "generation_config.json", generation_config(ids))
    write_json(folder / "tokenizer_config.json", tokenizer_config(model.shape.context_tokens))
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = {f"model.{name}": value.bfloat16() for name, value in model.state_dict().items()}
    (folder / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write indented JSON."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
