"""A model's tokenizer and chat template: checked, and as a graph for guided decoding.

Prompts are tokenised and answers decoded outside the engine. Guided decoding alone needs to know
the text of every token, and OpenVINO GenAI takes that from a detokenizer's graph.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_tokenizers
from openvino import opset13 as op
from tokenizers import Tokenizer

from infra.engine.vocabulary import Vocabulary
from infra.models.errors import ModelError

TOKENIZER, SETTINGS, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"


def check(folder: Path, vocabulary: int) -> None:
    """Check that prompts can be written; `vocabulary` is the number of the model's tokens.

    Raises:
        ModelError: a file is not there, or is not what it should be.
        OSError: a file cannot be read.
    """
    file = folder / TOKENIZER
    try:
        tokenizer = Tokenizer.from_str(_text(file))
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - tokenizers raises nothing more precise
        raise ModelError(file, f"is no tokenizer: {error}") from None
    # Tokens may be added beyond what the model knows, as padding that it never reads.
    own = tokenizer.get_vocab_size(with_added_tokens=False)
    if own > vocabulary:
        raise ModelError(file, f"has {own} tokens, and the model knows {vocabulary}")
    if template(folder) is None:
        raise ModelError(folder, f"has no chat template: no {TEMPLATE}, and none in {SETTINGS}")


def template(folder: Path) -> str | None:
    """Return the chat template, the default one of several; None if there is none.

    Raises:
        ModelError: the tokenizer's settings are not there, or are not what they should be.
    """
    settings = _settings(folder / SETTINGS)
    if (folder / TEMPLATE).is_file():
        return _text(folder / TEMPLATE)
    found = settings.get("chat_template")
    if isinstance(found, list):
        named = {entry.get("name"): entry.get("template") for entry in found}
        found = named.get("default")
    return found if isinstance(found, str) else None


def write_detokenizer(folder: Path) -> None:
    """Write the detokenizer's graph beside the `tokenizer.json` that it is made from.

    Raises:
        ModelError: the tokens do not stand for bytes.
    """
    try:
        tokens = Vocabulary.read(folder / TOKENIZER).tokens
    except (ValueError, LookupError, TypeError) as error:
        raise ModelError(folder / TOKENIZER, f"is not supported: {error}") from None
    openvino.save_model(_detokenizer(tokens), folder / "openvino_detokenizer.xml")


def _detokenizer(tokens: Any) -> openvino.Model:
    lengths = np.array([len(token) for token in tokens], np.int32)
    ends = np.cumsum(lengths, dtype=np.int32)
    text = np.frombuffer(b"".join(tokens), np.uint8)
    stored = [op.constant(each).output(0) for each in (ends - lengths, ends, text)]
    # The extension's operations can be made by no public name.
    factory = openvino_tokenizers._get_factory()  # noqa: SLF001
    ids = op.parameter([-1, -1], np.int64)
    decoded = factory.create("VocabDecoder", [op.convert(ids, np.int32).output(0), *stored])
    *ragged, characters = decoded.outputs()
    joined = factory.create("FuzeRagged", ragged).outputs()
    valid = factory.create("UTF8Validate", [*joined, characters], {"replace_mode": True})
    packed = factory.create("StringTensorPack", valid.outputs())
    return openvino.Model([op.result(packed)], [ids], "detokenizer")


def _settings(file: Path) -> dict[str, Any]:
    try:
        settings = json.loads(_text(file))
    except json.JSONDecodeError as error:
        raise ModelError(file, f"is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise ModelError(file, "is not a JSON object")
    return settings


def _text(file: Path) -> str:
    if not file.is_file():
        raise ModelError(file.parent, f"has no {file.name}")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ModelError(file, "is not UTF-8") from None
