"""A Hugging Face folder, `config.json` and safetensors, becomes a folder that the engine serves."""

import json
import shutil
from pathlib import Path

import msgspec

from infra.models import config, safetensors, tokenizer
from infra.models.architecture import architecture
from infra.models.report import Report
from infra.models.tensors import check
from infra.models.write import write

GENERATION = "generation_config.json"


def convert(source: Path, target: Path, report: Report) -> None:
    """Write what the engine serves to `target`, an empty folder.

    Raises:
        ModelError: the model is truncated, incomplete, or of an unknown architecture.
        OSError: a file cannot be read or written.
    """
    told = config.read(source)
    shape = architecture(told, source / config.FILE)
    tokenizer.check(source, shape.vocabulary)
    weights = safetensors.read(source)
    if told.tie_word_embeddings:
        # Some files hold the embedding twice.
        weights = {name: each for name, each in weights.items() if name != "lm_head.weight"}
    check(weights, shape.tensors(), source)
    _copy_texts(source, target)
    _write_settings(source, target, told)
    write(weights, shape, target, report)


def _copy_texts(source: Path, target: Path) -> None:
    for name in (tokenizer.TOKENIZER, tokenizer.SETTINGS, GENERATION):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    template = tokenizer.template(source) or ""
    (target / tokenizer.TEMPLATE).write_text(template, encoding="utf-8")


def _write_settings(source: Path, target: Path, told: config.Config) -> None:
    facts = json.loads((source / config.FILE).read_text(encoding="utf-8"))
    facts["max_position_embeddings"] = told.context_tokens
    (target / config.FILE).write_text(json.dumps(facts, indent=2), encoding="utf-8")
    if not (target / GENERATION).exists() and told.eos_token_id is not None:
        ends = {"eos_token_id": told.eos_token_id}
        (target / GENERATION).write_bytes(msgspec.json.encode(ends))
