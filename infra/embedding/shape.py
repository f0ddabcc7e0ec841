"""What a model's own files say about it, in the form of sentence-transformers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_ARCHITECTURE = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}


@dataclass(frozen=True, slots=True)
class Shape:
    """The facts about a BERT that its graph and its callers need."""

    dimensions: int
    """The components of a hidden state, and of a vector."""
    heads: int
    layers: int
    epsilon: float
    """What keeps layer normalisation from dividing by zero."""
    max_tokens: int
    """The most tokens of a text, the two that enclose it included."""

    @classmethod
    def read(cls, model: Path) -> Self:
        """Read the files of a folder.

        Raises:
            OSError: a file is missing.
            ValueError: a file is not what it should be, or the model is of another kind.
        """
        bert = _json(model / "config.json")
        for key, needed in _ARCHITECTURE.items():
            if bert.get(key, needed) != needed:
                raise ValueError(f"{model}: {key} is {bert[key]!r}, but only {needed!r} works")
        if not _json(model / "1_Pooling" / "config.json").get("pooling_mode_mean_tokens"):
            raise ValueError(f"{model}: only models that take the mean over the tokens work")
        limit = _json(model / "sentence_bert_config.json")
        try:
            return cls(
                dimensions=bert["hidden_size"],
                heads=bert["num_attention_heads"],
                layers=bert["num_hidden_layers"],
                epsilon=bert["layer_norm_eps"],
                max_tokens=min(limit["max_seq_length"], bert["max_position_embeddings"]),
            )
        except KeyError as error:
            raise ValueError(f"{model}: its configuration does not tell {error}") from None


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {str(file)!r}")
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{file} is not a JSON object")  # noqa: TRY004 - a file's content
    return value
